package org.ranktoolkit.boost;

import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** What else multiplies a score: {@code ranking/factors.py}, operation by operation. Each has a maximum. */
sealed interface FactorSpec {
    int MAX_VALUES = 200;

    String field();

    static FactorSpec parse(Keys keys) {
        String type = keys.string("type");
        FactorSpec factor =
                switch (type) {
                    case "category" -> Values.category(keys);
                    case "numeric" -> Numeric.parse(keys);
                    case "rule" -> keys.has("any_of") ? Values.rule(keys) : Between.parse(keys);
                    default -> throw Keys.error(
                            keys.path("type") + " must be one of category, numeric, rule, got [" + type + "]");
                };
        keys.end();
        return factor;
    }

    /**
     * A weight by the value of a keyword field.
     *
     * @param others weight of any other value, and of none
     */
    record Values(String field, Map<String, Double> weights, double others) implements FactorSpec {
        @Override
        public String toString() {
            return "weight of " + field + ", " + others + " for any that is not listed";
        }

        static Values category(Keys keys) {
            String field = keys.string("field", "category");
            String path = keys.path("weights");
            if (keys.take("weights") instanceof Map<?, ?> given) {
                if (given.isEmpty() || given.size() > MAX_VALUES) {
                    throw Keys.error(path + " must have 1 to " + MAX_VALUES + " keys, got " + given.size());
                }
                Map<String, Double> weights = new LinkedHashMap<>();
                given.forEach((value, weight) -> weights.put(
                        (String) value, Keys.number(path + "." + value, weight, 0, Keys.MAX_WEIGHT)));
                return new Values(field, weights, keys.number("default", 0, Keys.MAX_WEIGHT, 1));
            }
            throw Keys.error(path + " must be an object of values and weights");
        }

        static Values rule(Keys keys) {
            String field = keys.string("field");
            String path = keys.path("any_of");
            if (keys.has("gte") || keys.has("lt")) {
                throw Keys.error(path + " excludes gte and lt");
            }
            Set<String> values = new LinkedHashSet<>();
            for (Object value : Keys.list(path, keys.take("any_of"), 1, MAX_VALUES)) {
                if (value instanceof String text) {
                    values.add(text);
                } else {
                    throw Keys.wrong(path, "must hold strings", value);
                }
            }
            double weight = keys.weight("weight");
            Map<String, Double> weights = new LinkedHashMap<>();
            values.forEach(value -> weights.put(value, weight));
            return new Values(field, weights, 1);
        }
    }

    /** A weight where a number lies in [{@code gte}, {@code lt}); 1 elsewhere, and where there is none. */
    record Between(String field, double gte, double lt, double weight) implements FactorSpec {
        @Override
        public String toString() {
            return weight + " where " + gte + " <= " + field + " < " + lt + ", else 1";
        }

        static Between parse(Keys keys) {
            String field = keys.string("field");
            if (keys.has("gte") == false && keys.has("lt") == false) {
                throw Keys.error(keys.path("any_of") + " is missing: give any_of, or gte and lt (one or both)");
            }
            double gte = keys.number("gte", -Double.MAX_VALUE, Double.MAX_VALUE, Double.NEGATIVE_INFINITY);
            double lt = keys.number("lt", -Double.MAX_VALUE, Double.MAX_VALUE, Double.POSITIVE_INFINITY);
            return new Between(field, gte, lt, keys.weight("weight"));
        }

        double value(double x) {
            return x >= gte && x < lt ? weight : 1.0;
        }

        double upper(Range range) {
            double highest = 0;
            if (range.missing() || range.low() < gte || range.high() >= lt || range.isEmpty()) {
                highest = 1;
            }
            if (range.isEmpty() == false && range.high() >= gte && range.low() < lt) {
                highest = Math.max(highest, weight);
            }
            return highest;
        }
    }

    /** {@code clamp(modifier(factor * value))}, as {@code field_value_factor} modifies. */
    record Numeric(String field, Modifier modifier, double factor, double missing, double min, double max)
            implements FactorSpec {
        @Override
        public String toString() {
            return modifier + " of " + factor + " * " + field + ", in [" + min + ", " + max + "]";
        }

        enum Modifier {
            NONE,
            LOG1P,
            LN1P,
            LOG2P,
            SQRT,
            SQUARE,
            RECIPROCAL
        }

        static Numeric parse(Keys keys) {
            String field = keys.string("field");
            Modifier modifier = keys.word("modifier", Modifier.class, Modifier.NONE);
            double factor = keys.number("factor", 0, 1e9, 1);
            double missing = keys.number("missing", 0, Double.MAX_VALUE);
            double min = keys.number("min", 0, Keys.MAX_WEIGHT, 0);
            if (keys.has("max") == false) {
                throw Keys.error(keys.path("max") + " is missing: without an upper clamp no bound on the score exists");
            }
            double max = keys.weight("max");
            if (min > max) {
                throw Keys.error(keys.path("min") + " must not exceed max, got " + min + " and " + max);
            }
            return new Numeric(field, modifier, factor, missing, min, max);
        }

        double value(double x) {
            double y = Math.max(x * factor, 0.0);
            y = switch (modifier) {
                case NONE -> y;
                case LOG1P -> Math.log10(y + 1.0);
                case LN1P -> Math.log1p(y);
                case LOG2P -> Math.log10(y + 2.0);
                case SQRT -> Math.sqrt(y);
                case SQUARE -> y * y;
                case RECIPROCAL -> 1.0 / y;
            };
            return Math.min(Math.max(y, min), max);
        }

        /** The curve rises or falls throughout, so it is highest at an end. */
        double upper(Range range) {
            double highest = range.missing() || range.isEmpty() ? value(missing) : 0;
            if (range.isEmpty() == false) {
                highest = Math.max(highest, Math.max(value(range.low()), value(range.high())));
            }
            return Transform.slack(highest);
        }
    }

    static List<FactorSpec> parseAll(String path, Object value) {
        List<?> given = Keys.list(path, value, 0, 20);
        return java.util.stream.IntStream.range(0, given.size())
                .mapToObj(i -> parse(Keys.of(path + "[" + i + "]", given.get(i))))
                .toList();
    }
}
