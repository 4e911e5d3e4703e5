package org.ranktoolkit.boost;

import java.io.IOException;
import java.util.List;
import org.apache.lucene.tests.util.LuceneTestCase;
import org.elasticsearch.common.ParsingException;
import org.elasticsearch.common.Strings;
import org.elasticsearch.common.io.stream.BytesStreamOutput;
import org.elasticsearch.common.io.stream.NamedWriteableAwareStreamInput;
import org.elasticsearch.common.io.stream.NamedWriteableRegistry;
import org.elasticsearch.common.io.stream.StreamInput;
import org.elasticsearch.common.logging.LogConfigurator;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.index.query.AbstractQueryBuilder;
import org.elasticsearch.index.query.QueryBuilder;
import org.elasticsearch.search.SearchModule;
import org.elasticsearch.xcontent.NamedXContentRegistry;
import org.elasticsearch.xcontent.XContentParser;
import org.elasticsearch.xcontent.XContentParserConfiguration;
import org.elasticsearch.xcontent.json.JsonXContent;

/** The query as JSON and between nodes, with the parsers of a node that has the plugin. */
public class RankBoostQueryBuilderTests extends LuceneTestCase {
    private static final SearchModule MODULE =
            new SearchModule(Settings.EMPTY, List.of(new RankBoostPlugin(Settings.EMPTY)));
    private static final String FULL =
            """
            {"rank_boost": {"query": {"match": {"title": "blue dress"}},
              "image": {"field": "image_score", "mode": "additive", "weight": 3.0, "missing": 0.1,
                "transform": {"type": "piecewise", "points": [[0, 0], [0.5, 0.2], [1, 1]]},
                "ai_generated": {"field": "ai", "above": 0.4, "cap": 0.3}},
              "freshness": {"field": "created_at", "curve": "exp", "origin": 1795000000000, "scale": "14d",
                "offset": "12h", "decay": 0.4, "missing": 0.5},
              "factors": [
                {"type": "category", "field": "category", "weights": {"dress": 1.2, "hat": 0}, "default": 1},
                {"type": "numeric", "field": "rating", "modifier": "log1p", "missing": 1, "max": 2},
                {"type": "rule", "field": "category", "any_of": ["a", "b"], "weight": 1.5},
                {"type": "rule", "field": "price", "gte": 10, "lt": 20, "weight": 1.5}],
              "name_parts": true, "_name": "boosted", "boost": 1.5}}""";

    static {
        LogConfigurator.configureESLogging(); // ParsingException has a logger
    }

    public void testItIsTheSameAfterJsonAndAfterAJourney() throws IOException {
        QueryBuilder query = parse(FULL);
        assertEquals(query, parse(Strings.toString(query)));
        assertEquals(query.hashCode(), parse(Strings.toString(query)).hashCode());
        try (BytesStreamOutput out = new BytesStreamOutput()) {
            out.writeNamedWriteable(query);
            NamedWriteableRegistry registry = new NamedWriteableRegistry(MODULE.getNamedWriteables());
            try (StreamInput in = new NamedWriteableAwareStreamInput(out.bytes().streamInput(), registry)) {
                QueryBuilder arrived = in.readNamedWriteable(QueryBuilder.class);
                assertEquals(query, arrived);
                assertEquals(Strings.toString(query), Strings.toString(arrived));
            }
        }
        assertEquals("boosted", query.queryName());
        assertEquals(1.5f, query.boost(), 0f);
    }

    public void testEachChangeOfAValueMakesAnotherQuery() throws IOException {
        QueryBuilder query = parse(FULL);
        for (String change : List.of(
                "3.0/3.5", "0.1/0.2", "0.2]/0.3]", "0.4,/0.45,", "cap/neutral", "exp/gauss", "14d/15d", "12h/13h",
                "1.2/1.3", "log1p/sqrt", "\"b\"/\"c\"", "\"lt\": 20/\"lt\": 21", "additive/multiplicative",
                "blue/red", "795/796", "\"boost\": 1.5/\"boost\": 1.25")) {
            String[] parts = change.split("/");
            String changed = FULL.replace(parts[0], parts[1]);
            assertNotEquals(change, FULL, changed);
            if (change.startsWith("additive")) {
                changed = changed.replace("3.0", "0.3");
            }
            assertNotEquals(change, query, parse(changed));
        }
    }

    public void testWhatIsWrongIsNamedByItsPath() {
        wrong("\"weight\": 3.0", "\"weight\": -1", "image.weight must be in [0, 1000000], got -1");
        wrong("additive", "multiplicative", "image.weight must be in [0, 1] for a multiplicative boost, got 3.0");
        wrong("additive", "sideways", "image.mode must be one of additive, multiplicative, got [sideways]");
        wrong("\"missing\": 0.1", "\"missing\": \"0.1\"", "image.missing must be a number, got [0.1]");
        wrong("\"missing\": 0.1", "\"missing\": null", "image.missing must not be null");
        wrong("[0.5, 0.2]", "[0.5, 0.2, 1]", "image.transform.points[1] must have 2 to 2 elements, got 3");
        wrong("[0.5, 0.2]", "[0, 0.2]", "image.transform.points[1] must rise in x");
        wrong("\"cap\": 0.3", "\"cap\": 0.3, \"neutral\": 1", "give one of the two");
        wrong("1795000000000", "\"now\"", "freshness.origin must be a whole number of epoch milliseconds");
        wrong("1795000000000", "1.795e12", "freshness.origin must be a whole number of epoch milliseconds");
        wrong("1795000000000", "\"2026-01-01\"", "freshness.origin must be a whole number of epoch milliseconds");
        wrong("\"14d\"", "\"1.5d\"", "freshness.scale must be a whole number with ms, s, m, h or d");
        wrong("\"14d\"", "14", "freshness.scale must be a whole number with ms, s, m, h or d");
        wrong("\"14d\"", "\"0d\"", "freshness.scale must be longer than 0");
        wrong("\"decay\": 0.4", "\"decay\": 1", "freshness.decay must be in (0, 1), got 1");
        wrong(", \"max\": 2", "", "factors[1].max is missing: without an upper clamp no bound on the score exists");
        wrong("\"dress\": 1.2", "\"dress\": 1e9", "factors[0].weights.dress must be in [0, 1000000]");
        wrong("\"gte\": 10", "\"gt\": 10", "unknown key factors[3].gt");
        wrong("\"type\": \"numeric\"", "\"type\": \"script\"", "factors[1].type must be one of");
        wrong("\"image\"", "\"imgae\"", "unknown key imgae");
        wrong("\"_name\": \"boosted\", ", "", "name_parts needs _name");
        wrong("\"boost\": 1.5", "\"boost\": -1", "boost must be in [0,");
        wrong("\"query\": {\"match\": {\"title\": \"blue dress\"}},", "", "query is missing");
    }

    public void testRandomAndBrokenJsonIsRefusedAndNothingElseHappens() throws IOException {
        int parsed = 0, refused = 0;
        for (int i = 0; i < 20_000; i++) {
            StringBuilder text = new StringBuilder(FULL);
            for (int changes = 1 + random().nextInt(3); changes > 0; changes--) {
                int at = random().nextInt(text.length());
                int end = Math.min(text.length(), at + random().nextInt(6));
                String[] bits = {"", "null", "-1", "1e999", "NaN", "{}", "[]", "\"x\"", "{", "]", ",", ":", "true", "0",
                    text.substring(at, end)};
                text.replace(at, end, bits[random().nextInt(bits.length)]);
            }
            try {
                parse(text.toString());
                parsed++;
            } catch (IllegalArgumentException | ParsingException | IOException e) {
                refused++; // each becomes a 400; the last is what the JSON parser throws
            }
        }
        assertTrue(parsed + " parsed, " + refused + " refused", parsed > 100 && refused > 10_000);
    }

    private void wrong(String part, String instead, String message) {
        assertTrue(part, FULL.contains(part));
        Exception e = expectThrows(ParsingException.class, () -> parse(FULL.replace(part, instead)));
        assertTrue(e.getMessage(), e.getMessage().startsWith("[rank_boost] "));
        assertTrue(e.getMessage(), e.getMessage().contains(message));
    }

    private static QueryBuilder parse(String json) throws IOException {
        NamedXContentRegistry registry = new NamedXContentRegistry(MODULE.getNamedXContents());
        XContentParserConfiguration config = XContentParserConfiguration.EMPTY.withRegistry(registry);
        try (XContentParser parser = JsonXContent.jsonXContent.createParser(config, json)) {
            return AbstractQueryBuilder.parseTopLevelQuery(parser);
        }
    }
}
