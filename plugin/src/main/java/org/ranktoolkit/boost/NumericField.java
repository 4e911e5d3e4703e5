package org.ranktoolkit.boost;

import org.apache.lucene.sandbox.document.HalfFloatPoint;
import org.apache.lucene.util.NumericUtils;

/** A field of numbers or dates, and how its doc values and points hold them. */
record NumericField(String name, Encoding encoding) {
    enum Encoding {
        LONG,
        INTEGER,
        FLOAT,
        HALF_FLOAT,
        DOUBLE;

        /** The number that a doc value stands for, as a script reads it. */
        double decode(long docValue) {
            return switch (this) {
                case LONG, INTEGER -> docValue;
                case FLOAT -> NumericUtils.sortableIntToFloat((int) docValue);
                case HALF_FLOAT -> HalfFloatPoint.sortableShortToHalfFloat((short) docValue);
                case DOUBLE -> NumericUtils.sortableLongToDouble(docValue);
            };
        }

        /** The number that a point's bytes stand for. */
        double decodePoint(byte[] packed) {
            return switch (this) {
                case LONG, DOUBLE -> decode(NumericUtils.sortableBytesToLong(packed, 0));
                case INTEGER, FLOAT -> decode(NumericUtils.sortableBytesToInt(packed, 0));
                case HALF_FLOAT -> HalfFloatPoint.decodeDimension(packed, 0);
            };
        }
    }
}
