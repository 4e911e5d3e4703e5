package org.ranktoolkit.boost;

import java.io.IOException;
import org.apache.lucene.index.LeafReader;

/** The freshness factor of each document of one segment. */
final class FreshnessColumn {
    private final FreshnessSpec spec;
    private final NumericColumn dates;

    FreshnessColumn(LeafReader reader, Formula formula) throws IOException {
        this.spec = formula.spec().freshness();
        this.dates = NumericColumn.open(reader, formula.date());
    }

    double factor(int doc) throws IOException {
        return dates.advanceExact(doc) ? spec.at(dates.value()) : spec.missing();
    }

    /** The date in epoch ms; NaN where there is none. */
    double created(int doc) throws IOException {
        return dates.advanceExact(doc) ? dates.value() : Double.NaN;
    }

    /** At least the factor of any document of the range. */
    static double upper(FreshnessSpec spec, Range range) {
        double highest = range.isEmpty() ? 0 : spec.upper(range.low(), range.high());
        return range.missing() || range.isEmpty() ? Math.max(highest, spec.missing()) : highest;
    }
}
