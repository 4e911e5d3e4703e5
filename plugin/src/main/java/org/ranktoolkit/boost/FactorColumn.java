package org.ranktoolkit.boost;

import java.io.IOException;
import org.apache.lucene.index.LeafReader;

/** One factor of each document of one segment. */
final class FactorColumn {
    private final FactorSpec spec;
    private final WeightColumn weights; // one of the two is null
    private final NumericColumn numbers;
    private final double max;

    FactorColumn(LeafReader reader, FactorSpec spec, NumericField field, SegmentCache cache) throws IOException {
        this.spec = spec;
        if (spec instanceof FactorSpec.Values values) {
            this.weights = WeightColumn.open(reader, values);
            this.numbers = null;
            this.max = weights.max();
        } else {
            this.weights = null;
            this.numbers = NumericColumn.open(reader, field);
            Range range = cache.range(reader, field);
            this.max = spec instanceof FactorSpec.Between between
                    ? between.upper(range)
                    : ((FactorSpec.Numeric) spec).upper(range);
        }
    }

    /** The highest value that a document of the segment may have. */
    double max() {
        return max;
    }

    double value(int doc) throws IOException {
        if (weights != null) {
            return weights.weight(doc);
        }
        boolean has = numbers.advanceExact(doc);
        if (spec instanceof FactorSpec.Numeric numeric) {
            return numeric.value(has ? numbers.value() : numeric.missing());
        }
        return has ? ((FactorSpec.Between) spec).value(numbers.value()) : 1.0;
    }
}
