package org.ranktoolkit.boost;

import java.io.IOException;
import java.util.List;
import org.apache.lucene.index.LeafReader;

/**
 * The formula over one segment, for one thread: the score of a document, and the bounds that let Lucene skip.
 *
 * <p>Every operation on doubles rounds monotonically, and the formula grows with relevance, image, freshness and each
 * factor, so the formula at their maxima in the segment, computed in the same order, is a bound of every score.
 */
final class LeafFormula {
    private final ImageSpec imageSpec; // null where the image has no part
    private final ImageColumn image;
    private final FreshnessSpec freshnessSpec; // null where age has no part
    private final FreshnessColumn freshness; // null where age has no part
    private final FactorColumn[] factors;
    private final float boost;

    private final boolean bounded;
    private final double imageMax;
    private final double freshnessMax;
    private float threshold; // scores below are of no interest; 0 until somebody says so
    private float leastRel; // relevance below cannot reach the threshold
    private Prefilter prefilter; // null as long as there is none

    LeafFormula(LeafReader reader, Formula formula, float boost, SegmentCache cache) throws IOException {
        BoostSpec spec = formula.spec();
        this.boost = boost;
        this.imageSpec = spec.image();
        this.image = imageSpec == null ? null : new ImageColumn(reader, formula);
        this.freshness = spec.freshness() == null ? null : new FreshnessColumn(reader, formula);
        List<FactorSpec> all = spec.factors();
        this.factors = new FactorColumn[all.size()];
        for (int i = 0; i < factors.length; i++) {
            factors[i] =
                    new FactorColumn(reader, all.get(i), formula.numbers().get(i), cache);
        }
        this.freshnessSpec = spec.freshness();
        Range scores = imageSpec == null ? Range.NONE : cache.range(reader, formula.image());
        this.imageMax = imageUpper(scores);
        this.freshnessMax = freshness == null ? 1 : freshnessUpper(cache.range(reader, formula.date()));
        // A score below 0 breaks the growth with the image, as one out of all proportion breaks the arithmetic:
        // such a segment is scored whole, as a script would.
        this.bounded = (scores.isEmpty() || scores.low() >= 0) && imageMax < 1e100;
    }

    /**
     * The score of a document.
     *
     * @param rel its relevance
     * @return the score, bit for bit as {@code script_score}; anything below the threshold where the score is
     */
    float score(int doc, float rel) throws IOException {
        if (rel < leastRel) {
            return 0f;
        }
        if (prefilter != null && prefilter.isBelow(doc, rel)) {
            return 0f;
        }
        double product = combined(rel, image == null ? 0 : image.term(doc));
        if (freshness != null) {
            if (threshold > 0 && highest(product, freshnessMax, 0) < threshold) {
                return 0f;
            }
            product *= freshness.factor(doc);
        }
        for (int i = 0; i < factors.length; i++) {
            if (threshold > 0 && highest(product, 1, i) < threshold) {
                return 0f;
            }
            product *= factors[i].value(doc);
        }
        return checked(doc, (float) product) * boost;
    }

    /** One part of a document's score, in double. */
    double part(Part part, int doc) throws IOException {
        return switch (part.kind()) {
            case IMAGE -> image.term(doc);
            case FRESHNESS -> freshness.factor(doc);
            case FACTOR -> factors[part.index()].value(doc);
        };
    }

    /** A score that no document reaches whose relevance is at most {@code rel}, unless it equals it. */
    float bound(float rel) {
        return bounded ? bound(rel, imageMax, freshnessMax) : Float.POSITIVE_INFINITY;
    }

    /** The same with bounds of image term and freshness that are less than those of the whole segment. */
    float bound(float rel, double image, double fresh) {
        return highest(combined(rel, image), fresh, 0);
    }

    /** At least the image term of any document whose scores lie in a range, which is 0 or above. */
    double imageUpper(Range scores) {
        if (imageSpec == null) {
            return 0;
        }
        double highest = scores.isEmpty() ? 0 : scores.high();
        boolean some = scores.missing() || scores.isEmpty();
        return ImageColumn.upper(imageSpec, some ? Math.max(highest, imageSpec.missing()) : highest);
    }

    /** At least the freshness of any document whose dates lie in a range. */
    double freshnessUpper(Range dates) {
        return freshnessSpec == null ? 1 : FreshnessColumn.upper(freshnessSpec, dates);
    }

    /** Whether there are bounds, so that documents may be skipped. */
    boolean isBounded() {
        return bounded;
    }

    void use(Prefilter found) {
        prefilter = found;
    }

    /** What multiplies relevance and image together at the most, the boost included. */
    double highestRest() {
        double product = boost;
        for (FactorColumn factor : factors) {
            product *= factor.max();
        }
        return product;
    }

    /** Relevance and image together; {@code image} is ignored where it has no part. */
    double combined(float rel, double image) {
        return imageSpec == null ? rel : imageSpec.combine(rel, image);
    }

    float threshold() {
        return threshold;
    }

    /**
     * From now on, scores below {@code least} are of no interest.
     *
     * @return the relevance below which a document cannot reach it
     */
    float setThreshold(float least) {
        if (bounded && least > 0) {
            threshold = least;
            leastRel = Floats.least(rel -> bound(rel) >= least, guess(least));
        }
        return leastRel;
    }

    /** The relevance that reaches {@code least} at the maxima, but for rounding. */
    private float guess(float least) {
        double combined = least / (double) boost / freshnessMax;
        for (FactorColumn factor : factors) {
            combined /= factor.max();
        }
        if (imageSpec == null) {
            return (float) combined;
        }
        double none = imageSpec.combine(0, imageMax);
        return (float) ((combined - none) / (imageSpec.combine(1, imageMax) - none));
    }

    /** The score where the parts from factor {@code next} on are at their maxima. */
    private float highest(double product, double fresh, int next) {
        product *= fresh;
        for (int i = next; i < factors.length; i++) {
            product *= factors[i].max();
        }
        return (float) product * boost;
    }

    private static float checked(int doc, float score) {
        if (score < 0f || Float.isNaN(score)) {
            throw Keys.error("the score of document [" + doc + "] is [" + score
                    + "], and must not be negative or NaN: look at its image score");
        }
        return score;
    }
}
