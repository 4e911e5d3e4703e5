package org.ranktoolkit.boost;

import java.io.IOException;
import org.apache.lucene.index.LeafReader;

/** What is worth keeping of a segment between searches. */
final class SegmentCache {
    /** The extrema of a field in a segment: from its points, else from one scan. */
    Range range(LeafReader reader, NumericField field) throws IOException {
        if (reader.getFieldInfos().fieldInfo(field.name()) == null) {
            return Range.NONE;
        }
        Range points = Range.ofPoints(reader, field);
        return points != null ? points : Range.scan(reader, field);
    }
}
