package org.ranktoolkit.boost;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.apache.lucene.document.Document;
import org.apache.lucene.document.Field;
import org.apache.lucene.document.FloatPoint;
import org.apache.lucene.document.LongPoint;
import org.apache.lucene.document.SortedNumericDocValuesField;
import org.apache.lucene.document.SortedSetDocValuesField;
import org.apache.lucene.document.StringField;
import org.apache.lucene.document.TextField;
import org.apache.lucene.index.DirectoryReader;
import org.apache.lucene.index.IndexReader;
import org.apache.lucene.index.IndexWriterConfig;
import org.apache.lucene.index.LeafReaderContext;
import org.apache.lucene.index.NoMergePolicy;
import org.apache.lucene.index.Term;
import org.apache.lucene.search.BooleanClause;
import org.apache.lucene.search.BooleanQuery;
import org.apache.lucene.search.BoostQuery;
import org.apache.lucene.search.BulkScorer;
import org.apache.lucene.search.Collector;
import org.apache.lucene.search.ConstantScoreQuery;
import org.apache.lucene.search.DisjunctionMaxQuery;
import org.apache.lucene.search.DocIdSetIterator;
import org.apache.lucene.search.Explanation;
import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.search.LeafCollector;
import org.apache.lucene.search.PhraseQuery;
import org.apache.lucene.search.Query;
import org.apache.lucene.search.ScoreDoc;
import org.apache.lucene.search.ScoreMode;
import org.apache.lucene.search.Scorer;
import org.apache.lucene.search.TermQuery;
import org.apache.lucene.search.TopDocs;
import org.apache.lucene.search.TopScoreDocCollectorManager;
import org.apache.lucene.search.Weight;
import org.apache.lucene.store.Directory;
import org.apache.lucene.tests.index.RandomIndexWriter;
import org.apache.lucene.tests.search.QueryUtils;
import org.apache.lucene.tests.util.LuceneTestCase;
import org.apache.lucene.util.BytesRef;
import org.apache.lucene.util.NumericUtils;

/** The query over random indices against a scorer that knows no index: documents are kept beside it. */
public class RankBoostQueryTests extends LuceneTestCase {
    private static final long NOW = 1_795_000_000_000L;
    private static final long DAY = 86_400_000L;
    private static final String[] KINDS = {"dress", "shirt", "shoes", "hat"};

    /** What the index holds of a document; null or empty where it has no such field. */
    private record Item(List<Float> image, Float ai, Long created, List<String> kinds, Float rating) {}

    private static final FieldResolver FIELDS = new FieldResolver() {
        @Override
        public NumericField number(String key, String field) {
            return new NumericField(field, NumericField.Encoding.FLOAT);
        }

        @Override
        public NumericField date(String key, String field) {
            return new NumericField(field, NumericField.Encoding.LONG);
        }

        @Override
        public String keyword(String key, String field) {
            return field;
        }
    };

    public void testTopDocsAreThoseOfAScorerThatLooksAtEveryDocument() throws IOException {
        boolean points = random().nextBoolean();
        Map<String, Item> items = new LinkedHashMap<>();
        try (Directory directory = newDirectory();
                IndexReader reader = index(directory, items, TEST_NIGHTLY ? 20_000 : 2_000, points, 200)) {
            IndexSearcher searcher = newSearcher(reader);
            for (int i = 0; i < 60; i++) {
                compare(searcher, items, inner(random()), parts(random()), new SegmentCache(1 << 20));
            }
        }
    }

    public void testALargeSegmentGivesTheSameWithItsTable() throws IOException {
        Map<String, Item> items = new LinkedHashMap<>();
        try (Directory directory = newDirectory()) {
            IndexWriterConfig config = new IndexWriterConfig();
            config.setMaxBufferedDocs(DocTable.MIN_DOCS + 20_000).setRAMBufferSizeMB(256);
            try (RandomIndexWriter writer = new RandomIndexWriter(random(), directory, config)) {
                writer.setDoRandomForceMerge(false);
                for (int i = 0; i < DocTable.MIN_DOCS + 9_000; i++) {
                    writer.addDocument(document(i, items, true, (double) i / 25_000));
                }
                writer.forceMerge(1);
                try (IndexReader reader = writer.getReader()) {
                    IndexSearcher searcher = new IndexSearcher(reader);
                    SegmentCache cache = new SegmentCache(1 << 20);
                    for (int i = 0; i < 40; i++) {
                        compare(searcher, items, inner(random()), parts(random()), cache);
                    }
                    assertTrue(cache.bytes() > 0);
                }
            }
        }
    }

    public void testWindowsMayEndBehindTheSegment() throws IOException {
        Map<String, Item> items = new LinkedHashMap<>();
        try (Directory directory = newDirectory();
                IndexReader reader = index(directory, items, 20_000, true, 0)) {
            IndexSearcher searcher = new IndexSearcher(reader);
            Map<String, Object> parts = Map.of(
                    "image", Map.of("field", "image", "mode", "additive"),
                    "freshness", Map.of("field", "created", "origin", NOW, "scale", "2d"));
            SegmentCache cache = new SegmentCache(1 << 20);
            Query query = query(new TermQuery(new Term("title", "w1")), parts, cache);
            for (int round = 0; round < 3; round++) {
                Weight weight = searcher.createWeight(searcher.rewrite(query), ScoreMode.TOP_SCORES, 1);
                Collector collector = new TopScoreDocCollectorManager(10, null, 1).newCollector();
                for (LeafReaderContext leaf : reader.leaves()) {
                    LeafCollector found = collector.getLeafCollector(leaf);
                    BulkScorer scorer = weight.bulkScorer(leaf);
                    int windows = 0;
                    for (int next = 0; scorer != null && next < DocIdSetIterator.NO_MORE_DOCS; windows++) {
                        next = scorer.score(found, null, next, next + 5_000);
                        assertTrue("it goes on for ever", windows < 1_000);
                    }
                }
            }
        }
    }

    public void testItKeepsTheContractsOfAQuery() throws IOException {
        Map<String, Item> items = new LinkedHashMap<>();
        try (Directory directory = newDirectory();
                IndexReader reader = index(directory, items, 500, true, 0)) { // QueryUtils wants no deletes
            IndexSearcher searcher = newSearcher(reader);
            for (int i = 0; i < 10; i++) {
                QueryUtils.check(random(), query(inner(random()), parts(random()), new SegmentCache(0)), searcher);
            }
        }
    }

    public void testOfASegmentThatClosesNothingIsKept() throws IOException {
        Map<String, Item> items = new LinkedHashMap<>();
        SegmentCache cache = new SegmentCache(1 << 20);
        try (Directory directory = newDirectory()) {
            try (IndexReader reader = index(directory, items, 30_000, false, 0)) {
                Map<String, Object> parts =
                        Map.of("freshness", Map.of("field", "created", "origin", NOW, "scale", "2d"));
                Query query = query(new TermQuery(new Term("title", "w1")), parts, cache);
                new IndexSearcher(reader).search(query, 10);
            }
        }
        assertEquals(0, cache.bytes());
    }

    private void compare(
            IndexSearcher searcher, Map<String, Item> items, Query inner, Map<String, Object> parts, SegmentCache cache)
            throws IOException {
        BoostSpec spec = BoostSpec.parse(parts);
        float boost = random().nextInt(4) == 0 ? 0.7f : 1f;
        Query query = query(inner, parts, cache);
        Query boosted = boost == 1f ? query : new BoostQuery(query, boost);
        int k = new int[] {1, 10, 50}[random().nextInt(3)];
        List<ScoreDoc> expected = new ArrayList<>();
        for (ScoreDoc rel : searcher.search(inner, searcher.getIndexReader().maxDoc()).scoreDocs) {
            String id = searcher.storedFields().document(rel.doc).get("id");
            expected.add(new ScoreDoc(rel.doc, (float) bruteForce(spec, items.get(id), rel.score) * boost));
        }
        expected.sort(Comparator.comparingDouble((ScoreDoc d) -> -d.score).thenComparingInt(d -> d.doc));
        TopDocs found = searcher.search(boosted, new TopScoreDocCollectorManager(k, null, 1));
        assertEquals(Math.min(k, expected.size()), found.scoreDocs.length);
        for (int i = 0; i < found.scoreDocs.length; i++) {
            String at = "rank " + i + " of " + boosted;
            assertEquals(at, expected.get(i).doc, found.scoreDocs[i].doc);
            assertEquals(at, expected.get(i).score, found.scoreDocs[i].score, 0f);
        }
        assertEquals(expected.size(), searcher.count(boosted));
        if (found.scoreDocs.length > 0) {
            ScoreDoc one = found.scoreDocs[random().nextInt(found.scoreDocs.length)];
            Explanation explanation = searcher.explain(boosted, one.doc);
            assertEquals(one.score, explanation.getValue().floatValue(), 0f);
        }
    }

    /** The formula of the toolkit's documentation, from the documents themselves. */
    private static double bruteForce(BoostSpec spec, Item item, double rel) {
        double score = rel;
        if (spec.image() != null) {
            ImageSpec image = spec.image();
            double x = item.image.isEmpty()
                    ? image.missing()
                    : item.image.stream().min(Comparator.naturalOrder()).get();
            if (image.ai() != null && item.ai != null && item.ai > image.ai().above()) {
                x = image.ai().caps() ? Math.min(x, image.ai().score()) : image.ai().score();
            }
            x = image.transform().apply(x);
            score = image.mode() == ImageSpec.Mode.ADDITIVE
                    ? rel + image.weight() * x
                    : rel * (1 - image.weight() + image.weight() * x);
        }
        if (spec.freshness() != null) {
            score *= item.created == null
                    ? spec.freshness().missing()
                    : spec.freshness().at(item.created);
        }
        for (FactorSpec factor : spec.factors()) {
            if (factor instanceof FactorSpec.Values values) {
                String first = item.kinds.stream().sorted().findFirst().orElse("none");
                score *= values.weights().getOrDefault(first, values.others());
            } else if (factor instanceof FactorSpec.Numeric numeric) {
                score *= numeric.value(item.rating == null ? numeric.missing() : item.rating);
            } else {
                FactorSpec.Between between = (FactorSpec.Between) factor;
                score *= item.rating == null ? 1 : between.value(item.rating);
            }
        }
        return score;
    }

    private static Query query(Query inner, Map<String, Object> parts, SegmentCache cache) {
        return new RankBoostQuery(inner, Formula.resolve(BoostSpec.parse(parts), FIELDS), cache);
    }

    private IndexReader index(Directory directory, Map<String, Item> items, int n, boolean points, int deletes)
            throws IOException {
        IndexWriterConfig config = newIndexWriterConfig();
        if (random().nextBoolean()) {
            config.setMergePolicy(NoMergePolicy.INSTANCE);
        }
        try (RandomIndexWriter writer = new RandomIndexWriter(random(), directory, config)) {
            for (int i = 0; i < n; i++) {
                writer.addDocument(document(i, items, points, (double) i / n));
            }
            for (int i = 0; i < deletes; i++) {
                writer.deleteDocuments(new Term("id", Integer.toString(random().nextInt(n))));
            }
            writer.commit();
        }
        return DirectoryReader.open(directory);
    }

    private static Document document(int i, Map<String, Item> items, boolean points, double place) {
        Random random = random();
        Document doc = new Document();
        String id = Integer.toString(i);
        doc.add(new StringField("id", id, Field.Store.YES));
        StringBuilder title = new StringBuilder();
        for (int word = 0; word <= random.nextInt(8); word++) {
            title.append('w').append((int) Math.min(20, 1 / (random.nextDouble() + 0.01))).append(' ');
        }
        doc.add(new TextField("title", title.toString(), Field.Store.NO));
        List<Float> image = new ArrayList<>();
        for (int n = random.nextInt(10) == 0 ? random.nextInt(3) : 1; n > 0; n--) {
            image.add(random.nextInt(200) == 0 ? 2.5f : random.nextFloat());
        }
        image.forEach(value -> number(doc, "image", value, points));
        Float ai = random.nextBoolean() ? null : random.nextFloat();
        if (ai != null) {
            number(doc, "ai", ai, points);
        }
        Long created = random.nextInt(10) == 0
                ? null
                : NOW - (long) ((1 - place) * 60 * DAY) + random.nextLong(-5 * DAY, 5 * DAY);
        if (created != null) {
            doc.add(new SortedNumericDocValuesField("created", created));
            if (points) {
                doc.add(new LongPoint("created", created));
            }
        }
        List<String> kinds = new ArrayList<>();
        for (int n = random.nextInt(5) == 0 ? random.nextInt(3) : 1; n > 0; n--) {
            String kind = KINDS[random.nextInt(KINDS.length)];
            if (kinds.contains(kind) == false) {
                kinds.add(kind);
                doc.add(new SortedSetDocValuesField("kind", new BytesRef(kind)));
                doc.add(new StringField("kind", kind, Field.Store.NO));
            }
        }
        Float rating = random.nextInt(4) == 0 ? null : random.nextFloat() * 5;
        if (rating != null) {
            number(doc, "rating", rating, points);
        }
        items.put(id, new Item(image, ai, created, kinds, rating));
        return doc;
    }

    private static void number(Document doc, String field, float value, boolean points) {
        doc.add(new SortedNumericDocValuesField(field, NumericUtils.floatToSortableInt(value)));
        if (points) {
            doc.add(new FloatPoint(field, value));
        }
    }

    private static Query inner(Random random) {
        Query one = new TermQuery(new Term("title", "w" + (1 + random.nextInt(6))));
        Query two = new TermQuery(new Term("title", "w" + (1 + random.nextInt(12))));
        BooleanClause.Occur occur = random.nextBoolean() ? BooleanClause.Occur.SHOULD : BooleanClause.Occur.MUST;
        Query both = new BooleanQuery.Builder().add(one, occur).add(two, occur).build();
        return switch (random.nextInt(7)) {
            case 0 -> one;
            case 1 -> new DisjunctionMaxQuery(List.of(both, new PhraseQuery("title", "w1", "w2")), 0.3f);
            case 2 -> new BooleanQuery.Builder()
                    .add(both, BooleanClause.Occur.MUST)
                    .add(new TermQuery(new Term("kind", "hat")), BooleanClause.Occur.FILTER)
                    .build();
            case 3 -> new ConstantScoreQuery(one);
            case 4 -> new BoostQuery(both, 2.5f);
            default -> both;
        };
    }

    private static Map<String, Object> parts(Random random) {
        Map<String, Object> parts = new LinkedHashMap<>();
        if (random.nextInt(5) > 0) {
            Map<String, Object> image = new LinkedHashMap<>();
            image.put("field", "image");
            image.put("mode", random.nextBoolean() ? "additive" : "multiplicative");
            image.put("weight", random.nextDouble());
            image.put("missing", random.nextDouble());
            image.put("transform", switch (random.nextInt(4)) {
                case 0 -> Map.of("type", "power", "exponent", 0.1 + random.nextDouble() * 3);
                case 1 -> Map.of("type", "sigmoid", "center", random.nextDouble(), "steepness", 12.0);
                case 2 -> Map.of("type", "piecewise", "points", List.of(
                        List.of(0.1, 0.0), List.of(0.3 + random.nextDouble() / 2, random.nextDouble()), List.of(1.0, 1.0)));
                default -> Map.of("type", "identity");
            });
            if (random.nextBoolean()) {
                image.put("ai_generated", Map.of(
                        "field", "ai", random.nextBoolean() ? "cap" : "neutral", random.nextDouble()));
            }
            parts.put("image", image);
        }
        if (random.nextInt(4) > 0) {
            parts.put("freshness", Map.of(
                    "field", "created",
                    "origin", NOW + random.nextLong(-40 * DAY, 10 * DAY),
                    "curve", List.of("gauss", "exp", "linear").get(random.nextInt(3)),
                    "scale", (1 + random.nextInt(30)) + "d",
                    "offset", random.nextInt(40) + "h",
                    "decay", 0.1 + random.nextDouble() * 0.8,
                    "missing", random.nextBoolean() ? 1.0 : random.nextDouble()));
        }
        List<Object> factors = new ArrayList<>();
        for (int n = random.nextInt(4); n > 0; n--) {
            factors.add(switch (random.nextInt(4)) {
                case 0 -> Map.of("type", "category", "field", "kind", "weights",
                        Map.of("hat", random.nextDouble(), "shoes", 2.0, "unknown", 9.0), "default", random.nextDouble());
                case 1 -> Map.of("type", "rule", "field", "kind", "any_of", List.of("dress", "hat"), "weight", 1.5);
                case 2 -> Map.of("type", "rule", "field", "rating", "gte", 2.0, "lt", 4.0, "weight", random.nextDouble());
                default -> Map.of("type", "numeric", "field", "rating", "modifier",
                        List.of("none", "log1p", "ln1p", "log2p", "sqrt", "square", "reciprocal").get(random.nextInt(7)),
                        "missing", 1.0, "min", 0.1, "max", 0.5 + random.nextDouble() * 2);
            });
        }
        parts.put("factors", factors);
        return parts;
    }
}
