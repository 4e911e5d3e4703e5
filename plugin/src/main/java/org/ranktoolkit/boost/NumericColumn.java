package org.ranktoolkit.boost;

import java.io.IOException;
import org.apache.lucene.index.DocValues;
import org.apache.lucene.index.LeafReader;
import org.apache.lucene.index.NumericDocValues;
import org.apache.lucene.index.SortedNumericDocValues;

/** The doc values of one field in one segment; of several values the smallest, as {@code doc['x'].value} is. */
final class NumericColumn {
    private final NumericField.Encoding encoding;
    private final NumericDocValues single; // null where a document has several values
    private final SortedNumericDocValues several;

    private NumericColumn(NumericField.Encoding encoding, SortedNumericDocValues values) {
        this.encoding = encoding;
        this.single = DocValues.unwrapSingleton(values);
        this.several = single == null ? values : null;
    }

    static NumericColumn open(LeafReader reader, NumericField field) throws IOException {
        return new NumericColumn(field.encoding(), DocValues.getSortedNumeric(reader, field.name()));
    }

    /** To a document not before the last one asked for; false where it has no value. */
    boolean advanceExact(int doc) throws IOException {
        return single != null ? single.advanceExact(doc) : several.advanceExact(doc);
    }

    double value() throws IOException {
        return encoding.decode(single != null ? single.longValue() : several.nextValue());
    }
}
