package org.ranktoolkit.boost;

import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import org.apache.lucene.search.Query;
import org.elasticsearch.common.ParsingException;
import org.elasticsearch.common.io.stream.StreamInput;
import org.elasticsearch.common.io.stream.StreamOutput;
import org.elasticsearch.index.query.InnerHitContextBuilder;
import org.elasticsearch.index.query.MatchNoneQueryBuilder;
import org.elasticsearch.index.query.QueryBuilder;
import org.elasticsearch.index.query.QueryRewriteContext;
import org.elasticsearch.index.query.SearchExecutionContext;
import org.elasticsearch.xcontent.ToXContent;
import org.elasticsearch.xcontent.XContentBuilder;
import org.elasticsearch.xcontent.XContentParser;
import org.elasticsearch.xcontent.XContentParser.Token;

/** The {@code rank_boost} query as JSON and between nodes. */
public final class RankBoostQueryBuilder extends VersionedQueryBuilder<RankBoostQueryBuilder> {
    public static final String NAME = "rank_boost";

    private static final byte WIRE_FORMAT = 1;

    private final QueryBuilder query;
    private final Map<String, Object> parts; // image, freshness, factors, as they were given
    private final boolean nameParts;
    private final BoostSpec spec;
    private final SegmentCache cache; // this node's

    RankBoostQueryBuilder(QueryBuilder query, Map<String, Object> parts, boolean nameParts, SegmentCache cache) {
        this.query = query;
        this.parts = parts;
        this.nameParts = nameParts;
        this.spec = BoostSpec.parse(parts);
        this.cache = cache;
    }

    RankBoostQueryBuilder(StreamInput in, SegmentCache cache) throws IOException {
        super(in);
        byte format = in.readByte();
        if (format != WIRE_FORMAT) {
            throw Keys.error("another node runs another version of the plugin (wire format " + format + ", not "
                    + WIRE_FORMAT + ")");
        }
        this.query = in.readNamedWriteable(QueryBuilder.class);
        this.parts = in.readGenericMap();
        this.nameParts = in.readBoolean();
        this.spec = BoostSpec.parse(parts);
        this.cache = cache;
    }

    @Override
    protected void doWriteTo(StreamOutput out) throws IOException {
        out.writeByte(WIRE_FORMAT);
        out.writeNamedWriteable(query);
        out.writeGenericMap(parts);
        out.writeBoolean(nameParts);
    }

    @Override
    protected void doXContent(XContentBuilder builder, ToXContent.Params params) throws IOException {
        builder.startObject(NAME);
        builder.field("query", query);
        for (Map.Entry<String, Object> part : parts.entrySet()) {
            builder.field(part.getKey(), part.getValue());
        }
        if (nameParts) {
            builder.field("name_parts", true);
        }
        boostAndQueryNameToXContent(builder);
        builder.endObject();
    }

    static RankBoostQueryBuilder fromXContent(XContentParser parser, SegmentCache cache) throws IOException {
        try {
            return parse(parser, cache);
        } catch (IllegalArgumentException e) {
            throw new ParsingException(parser.getTokenLocation(), e.getMessage(), e);
        }
    }

    private static RankBoostQueryBuilder parse(XContentParser parser, SegmentCache cache) throws IOException {
        QueryBuilder query = null;
        Map<String, Object> given = new LinkedHashMap<>();
        while (parser.nextToken() != Token.END_OBJECT) {
            String key = parser.currentName();
            parser.nextToken();
            boolean twice;
            if (key.equals("query")) {
                twice = query != null;
                query = parseInnerQueryBuilder(parser);
            } else {
                twice = given.put(key, ObjectReader.read(parser, key)) != null;
            }
            if (twice) {
                throw Keys.error("key " + key + " is there twice");
            }
        }
        if (query == null) {
            throw Keys.error("query is missing");
        }
        Object boost = given.remove("boost");
        Object name = given.remove("_name");
        Object nameParts = given.remove("name_parts");
        for (String key : given.keySet()) {
            if (key.equals("image") == false && key.equals("freshness") == false && key.equals("factors") == false) {
                throw Keys.error("unknown key " + key);
            }
        }
        if (nameParts != null && nameParts instanceof Boolean == false) {
            throw Keys.wrong("name_parts", "must be true or false", nameParts);
        }
        if (name != null && name instanceof String == false) {
            throw Keys.wrong("_name", "must be a string", name);
        }
        if (Boolean.TRUE.equals(nameParts) && name == null) {
            throw Keys.error("name_parts needs _name: the parts are named after it");
        }
        RankBoostQueryBuilder builder =
                new RankBoostQueryBuilder(query, given, Boolean.TRUE.equals(nameParts), cache);
        if (boost != null) {
            builder.boost((float) Keys.number("boost", boost, 0, Float.MAX_VALUE));
        }
        return builder.queryName((String) name);
    }

    @Override
    protected QueryBuilder doRewrite(QueryRewriteContext context) throws IOException {
        QueryBuilder rewritten = query.rewrite(context);
        if (rewritten instanceof MatchNoneQueryBuilder) {
            return rewritten;
        }
        return rewritten == query ? this : new RankBoostQueryBuilder(rewritten, parts, nameParts, cache);
    }

    @Override
    protected void extractInnerHitBuilders(Map<String, InnerHitContextBuilder> innerHits) {
        InnerHitContextBuilder.extractInnerHits(query, innerHits);
    }

    @Override
    Query toLucene(SearchExecutionContext context, ToQuery inner) throws IOException {
        Formula formula = Formula.resolve(spec, new MappedFields(context));
        Query rel = inner.of(query);
        if (nameParts) {
            nameParts(context, rel, formula);
        }
        return new RankBoostQuery(rel, formula, cache);
    }

    private void nameParts(SearchExecutionContext context, Query rel, Formula formula) {
        context.addNamedQuery(queryName() + ".rel", rel);
        if (spec.image() != null) {
            namePart(context, rel, formula, ".image", new Part(Part.Kind.IMAGE, 0));
        }
        if (spec.freshness() != null) {
            namePart(context, rel, formula, ".freshness", new Part(Part.Kind.FRESHNESS, 0));
        }
        for (int i = 0; i < spec.factors().size(); i++) {
            namePart(context, rel, formula, ".factor." + i, new Part(Part.Kind.FACTOR, i));
        }
    }

    private void namePart(SearchExecutionContext context, Query rel, Formula formula, String suffix, Part part) {
        context.addNamedQuery(queryName() + suffix, new PartQuery(rel, formula, part, cache));
    }

    @Override
    protected boolean doEquals(RankBoostQueryBuilder other) {
        return query.equals(other.query) && spec.equals(other.spec) && nameParts == other.nameParts;
    }

    @Override
    protected int doHashCode() {
        return Objects.hash(query, spec, nameParts);
    }

    @Override
    public String getWriteableName() {
        return NAME;
    }
}
