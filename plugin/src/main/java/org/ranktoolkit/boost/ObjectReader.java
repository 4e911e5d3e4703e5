package org.ranktoolkit.boost;

import java.io.IOException;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.elasticsearch.xcontent.XContentParser;
import org.elasticsearch.xcontent.XContentParser.Token;

/**
 * Reads one JSON value into maps, lists, strings, booleans, longs and doubles.
 *
 * <p>A key that is there twice, a number that is not finite, and nesting deeper than the query has are refused. The
 * result is what travels between nodes ({@code writeGenericValue}), so one reader serves both ways.
 */
final class ObjectReader {
    private static final int MAX_DEPTH = 6;

    private ObjectReader() {}

    /** The value that the parser stands on. */
    static Object read(XContentParser parser, String path) throws IOException {
        return read(parser, path, 0);
    }

    private static Object read(XContentParser parser, String path, int depth) throws IOException {
        if (depth > MAX_DEPTH) {
            throw Keys.error(path + " is nested too deeply");
        }
        return switch (parser.currentToken()) {
            case START_OBJECT -> object(parser, path, depth);
            case START_ARRAY -> list(parser, path, depth);
            case VALUE_STRING -> parser.text();
            case VALUE_BOOLEAN -> parser.booleanValue();
            case VALUE_NUMBER -> number(parser.numberValue(), path);
            case VALUE_NULL -> throw Keys.error(path + " must not be null");
            default -> throw Keys.error(path + " must be a JSON value, got " + parser.currentToken());
        };
    }

    private static Map<String, Object> object(XContentParser parser, String path, int depth) throws IOException {
        Map<String, Object> found = new LinkedHashMap<>();
        while (parser.nextToken() != Token.END_OBJECT) {
            String key = parser.currentName();
            parser.nextToken();
            if (found.put(key, read(parser, path + "." + key, depth + 1)) != null) {
                throw Keys.error("key " + path + "." + key + " is there twice");
            }
        }
        return found;
    }

    private static List<Object> list(XContentParser parser, String path, int depth) throws IOException {
        List<Object> found = new ArrayList<>();
        while (parser.nextToken() != Token.END_ARRAY) {
            found.add(read(parser, path + "[" + found.size() + "]", depth + 1));
        }
        return found;
    }

    private static Number number(Number number, String path) {
        if (number instanceof Long || number instanceof Integer) {
            return number.longValue();
        }
        double value = number.doubleValue();
        if (Double.isFinite(value) == false || number instanceof BigInteger && Math.abs(value) > 1e300) {
            throw Keys.error(path + " must be a finite number, got " + value);
        }
        return value;
    }
}
