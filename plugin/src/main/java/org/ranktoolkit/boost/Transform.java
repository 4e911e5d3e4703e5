package org.ranktoolkit.boost;

import java.util.List;

/**
 * From an image score to the image term, never falling: {@code ranking/image.py}, operation by operation.
 *
 * <p>{@link #upper} is a bound of the term of every score up to {@code x}: where the computed curve could fall in its
 * last digit (a library function, a piece of a line that ends above the next one's start), it is a few ulps higher.
 */
sealed interface Transform {
    double apply(double x);

    double upper(double x);

    static double slack(double y) {
        return y + 4 * Math.ulp(y);
    }

    static Transform parse(Keys keys) {
        String type = keys.string("type");
        Transform transform =
                switch (type) {
                    case "identity" -> new Identity();
                    case "power" -> new Power(keys.numberAbove("exponent", 0, 20, false));
                    case "sigmoid" -> new Sigmoid(
                            keys.number("center", 0, 1, 0.5),
                            keys.has("steepness") ? keys.numberAbove("steepness", 0, 200, false) : 10);
                    case "piecewise" -> Piecewise.parse(keys.path("points"), keys.take("points"));
                    default -> throw Keys.error(keys.path("type")
                            + " must be one of identity, power, sigmoid, piecewise, got [" + type + "]");
                };
        keys.end();
        return transform;
    }

    record Identity() implements Transform {
        @Override
        public String toString() {
            return "the score itself";
        }

        @Override
        public double apply(double x) {
            return x;
        }

        @Override
        public double upper(double x) {
            return x;
        }
    }

    record Power(double exponent) implements Transform {
        @Override
        public String toString() {
            return "the score to the power of " + exponent;
        }

        @Override
        public double apply(double x) {
            return Math.pow(x, exponent);
        }

        @Override
        public double upper(double x) {
            return slack(apply(x));
        }
    }

    record Sigmoid(double center, double steepness) implements Transform {
        @Override
        public String toString() {
            return "a sigmoid around " + center + " of steepness " + steepness;
        }

        @Override
        public double apply(double x) {
            return 1.0 / (1.0 + Math.exp(-steepness * (x - center)));
        }

        @Override
        public double upper(double x) {
            return slack(apply(x));
        }
    }

    /** Points as x0, y0, x1, y1 ...; flat outside them. */
    record Piecewise(List<Double> points) implements Transform {
        @Override
        public String toString() {
            return "lines through " + points;
        }

        static Piecewise parse(String path, Object value) {
            List<?> pairs = Keys.list(path, value, 2, 20);
            double[] points = new double[2 * pairs.size()];
            for (int i = 0; i < pairs.size(); i++) {
                String at = path + "[" + i + "]";
                List<?> pair = Keys.list(at, pairs.get(i), 2, 2);
                points[2 * i] = Keys.number(at + "[0]", pair.get(0), 0, 1);
                points[2 * i + 1] = Keys.number(at + "[1]", pair.get(1), 0, 1);
                if (i > 0 && (points[2 * i] <= points[2 * i - 2] || points[2 * i + 1] < points[2 * i - 1])) {
                    throw Keys.error(at + " must rise in x and not fall in y from the point before it");
                }
            }
            return new Piecewise(java.util.Arrays.stream(points).boxed().toList());
        }

        @Override
        public double apply(double x) {
            if (x <= points.get(0)) {
                return points.get(1);
            }
            for (int i = 0; i + 3 < points.size(); i += 2) {
                double x1 = points.get(i + 2);
                if (x < x1) {
                    double x0 = points.get(i), y0 = points.get(i + 1);
                    double slope = (points.get(i + 3) - y0) / (x1 - x0);
                    return y0 + slope * (x - x0);
                }
            }
            return points.get(points.size() - 1);
        }

        @Override
        public double upper(double x) {
            return apply(x) + 1e-15; // y is in [0, 1], and each operation errs by at most half an ulp of that
        }
    }
}
