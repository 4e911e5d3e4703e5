package org.ranktoolkit.boost;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.apache.lucene.index.LeafReader;
import org.apache.lucene.search.Explanation;

/** The score of one document as a tree: every part with what it was made of. */
final class ScoreExplanation {
    private final LeafReader reader;
    private final Formula formula;
    private final LeafFormula leaf;
    private final int doc;

    ScoreExplanation(LeafReader reader, Formula formula, LeafFormula leaf, int doc) {
        this.reader = reader;
        this.formula = formula;
        this.leaf = leaf;
        this.doc = doc;
    }

    /**
     * @param rel the relevance that the formula is given, which the inner explanation may miss by its last bit
     * @param inner how the inner query explains it
     */
    Explanation of(float rel, Explanation inner, float boost) throws IOException {
        BoostSpec spec = formula.spec();
        List<Explanation> product = new ArrayList<>();
        Explanation relevance = Explanation.match(rel, "relevance, computed as below from:", inner);
        product.add(spec.image() == null ? relevance : combined(spec.image(), rel, relevance));
        if (spec.freshness() != null) {
            product.add(freshness(spec.freshness()));
        }
        for (int i = 0; i < spec.factors().size(); i++) {
            product.add(Explanation.match(
                    leaf.part(new Part(Part.Kind.FACTOR, i), doc),
                    "factor " + i + ", " + spec.factors().get(i)));
        }
        if (boost != 1f) {
            product.add(Explanation.match(boost, "boost of the query, after the rounding to float32"));
        }
        return Explanation.match(leaf.score(doc, rel), RankBoostQueryBuilder.NAME + ", computed as the product in double, as float32, from:", product);
    }

    private Explanation combined(ImageSpec spec, float rel, Explanation relevance) throws IOException {
        double term = leaf.part(new Part(Part.Kind.IMAGE, 0), doc);
        ImageColumn column = new ImageColumn(reader, formula);
        double raw = column.raw(doc);
        Explanation image = Explanation.match(
                term,
                "image term, computed as " + spec.transform() + " from:",
                Explanation.match(raw, "indexed " + spec.field() + ", " + spec.missing() + " where there is none"),
                Explanation.match(
                        column.ruled(doc, raw),
                        spec.ai() == null ? "there is no rule for AI-generated photos" : "after the rule: " + spec.ai()));
        String how = spec.mode() == ImageSpec.Mode.ADDITIVE
                ? "relevance + " + spec.weight() + " * image"
                : "relevance * (1 - " + spec.weight() + " + " + spec.weight() + " * image)";
        return Explanation.match(spec.combine(rel, term), "combined, computed as " + how + " from:", relevance, image);
    }

    private Explanation freshness(FreshnessSpec spec) throws IOException {
        double factor = leaf.part(new Part(Part.Kind.FRESHNESS, 0), doc);
        double created = new FreshnessColumn(reader, formula).created(doc);
        if (Double.isNaN(created)) {
            return Explanation.match(factor, "freshness of a document without " + spec.field());
        }
        return Explanation.match(
                factor,
                "freshness, computed as " + spec.curve() + " of the distance from:",
                Explanation.match((long) created, spec.field() + ", epoch ms"),
                Explanation.match(spec.origin(), "origin, epoch ms"),
                Explanation.match(spec.distance(created), "distance in ms, past the offset of " + spec.offset()),
                Explanation.match(spec.shape(), "shape, from scale " + spec.scale() + " ms and decay " + spec.decay()));
    }
}
