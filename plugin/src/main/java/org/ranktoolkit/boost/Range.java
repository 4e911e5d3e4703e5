package org.ranktoolkit.boost;

import java.io.IOException;
import org.apache.lucene.index.LeafReader;
import org.apache.lucene.index.PointValues;

/**
 * What a segment holds of a field: every value lies in [{@code low}, {@code high}].
 *
 * @param missing whether a document may lack the field
 */
record Range(double low, double high, boolean missing) {
    static final Range NONE = new Range(Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY, true);
    static final Range UNKNOWN = new Range(Double.NEGATIVE_INFINITY, Double.POSITIVE_INFINITY, true);

    /** No document has the field. */
    boolean isEmpty() {
        return low > high;
    }

    /** From the points of the field, whose extrema the index keeps; null where it has none. */
    static Range ofPoints(LeafReader reader, NumericField field) throws IOException {
        PointValues points = reader.getPointValues(field.name());
        if (points == null) {
            return null;
        }
        return new Range(
                field.encoding().decodePoint(points.getMinPackedValue()),
                field.encoding().decodePoint(points.getMaxPackedValue()),
                points.getDocCount() < reader.maxDoc());
    }

    /** From the values, one by one. */
    static Range scan(LeafReader reader, NumericField field) throws IOException {
        NumericColumn column = NumericColumn.open(reader, field);
        double low = Double.POSITIVE_INFINITY, high = Double.NEGATIVE_INFINITY;
        boolean missing = false;
        for (int doc = 0; doc < reader.maxDoc(); doc++) {
            if (column.advanceExact(doc)) {
                double value = column.value();
                low = Math.min(low, value);
                high = Math.max(high, value);
            } else {
                missing = true;
            }
        }
        return new Range(low, high, missing);
    }
}
