package org.ranktoolkit.boost;

import java.io.IOException;
import java.util.Arrays;
import java.util.concurrent.locks.ReentrantLock;
import org.apache.lucene.index.LeafReader;

/**
 * Image score and date of every document of a segment in two bytes: 255 levels each, and one for "none".
 *
 * <p>Of each level the true extrema are kept, so that what is computed from them is a bound whatever the levels are.
 * Images are cut evenly, dates so that about as many documents fall between any two cuts. Blocks of documents have
 * extrema of their own: in an index filled in the order of time, whole blocks are too old.
 *
 * <p>The table is filled a piece at a time by whichever search comes by; until it is full, nobody waits for it.
 */
final class DocTable {
    static final int LEVELS = 256;
    static final int BLOCK_SHIFT = 12; // 4,096 documents
    static final int MIN_DOCS = 1 << 14; // a smaller segment is scored sooner than its table is consulted

    private static final int PIECE = 1 << 16; // documents filled in at a time, about a millisecond
    private static final int SAMPLE = 1 << 12;

    final short[] codes; // date level << 8 | image level, by document; level 0: none
    final double[] imageHigh = filled(LEVELS, Double.NEGATIVE_INFINITY); // by level; no document: -infinity
    final double[] dateLow = filled(LEVELS, Double.POSITIVE_INFINITY);
    final double[] dateHigh = filled(LEVELS, Double.NEGATIVE_INFINITY);
    final int[] imageCount = new int[LEVELS]; // documents by level
    final int[] dateCount = new int[LEVELS];
    final Blocks blocks;

    private final NumericField image; // null: the formula has no image
    private final NumericField date;
    private final ReentrantLock filling = new ReentrantLock();
    private double imageLow; // of the cuts
    private double imageStep;
    private double[] dateCuts; // rising
    private int filled;
    private volatile boolean full;

    DocTable(int maxDoc, NumericField image, NumericField date) {
        this.codes = new short[maxDoc];
        this.blocks = new Blocks(maxDoc);
        this.image = image;
        this.date = date;
    }

    static long bytes(int maxDoc) {
        return 2L * maxDoc + 32L * ((maxDoc >> BLOCK_SHIFT) + 1) + 4 * 8 * LEVELS + 1000;
    }

    /**
     * Fill in another piece, unless someone else does.
     *
     * @return whether the table is full
     */
    boolean fill(LeafReader reader, SegmentCache cache) throws IOException {
        if (full || filling.tryLock() == false) {
            return full;
        }
        try {
            if (full == false) {
                if (dateCuts == null) {
                    cut(reader, cache);
                }
                int until = Math.min(codes.length, filled + PIECE);
                fill(reader, filled, until);
                filled = until;
                full = filled == codes.length;
            }
            return full;
        } finally {
            filling.unlock();
        }
    }

    private void cut(LeafReader reader, SegmentCache cache) throws IOException {
        if (image != null) {
            Range range = cache.range(reader, image);
            imageLow = range.low();
            imageStep = (range.high() - range.low()) / (LEVELS - 1);
        }
        double[] sample = new double[SAMPLE];
        int n = 0;
        NumericColumn dates = NumericColumn.open(reader, date);
        for (int i = 0; i < SAMPLE; i++) {
            if (dates.advanceExact((int) ((long) i * codes.length / SAMPLE))) {
                sample[n++] = dates.value();
            }
        }
        Arrays.sort(sample, 0, n);
        double[] cuts = new double[LEVELS - 2];
        for (int i = 0; i < cuts.length; i++) {
            cuts[i] = n == 0 ? 0 : sample[(int) ((long) (i + 1) * n / (LEVELS - 1))];
        }
        dateCuts = cuts;
    }

    private void fill(LeafReader reader, int from, int until) throws IOException {
        NumericColumn images = image == null ? null : NumericColumn.open(reader, image);
        NumericColumn dates = NumericColumn.open(reader, date);
        for (int doc = from; doc < until; doc++) {
            int imageLevel = 0, dateLevel = 0;
            if (images != null && images.advanceExact(doc)) {
                double value = images.value();
                imageLevel = imageLevel(value);
                imageHigh[imageLevel] = Math.max(imageHigh[imageLevel], value);
                blocks.image(doc, value);
            } else {
                blocks.image(doc, Double.NaN);
            }
            if (dates.advanceExact(doc)) {
                double value = dates.value();
                dateLevel = dateLevel(value);
                dateLow[dateLevel] = Math.min(dateLow[dateLevel], value);
                dateHigh[dateLevel] = Math.max(dateHigh[dateLevel], value);
                blocks.date(doc, value);
            } else {
                blocks.date(doc, Double.NaN);
            }
            imageCount[imageLevel]++;
            dateCount[dateLevel]++;
            codes[doc] = (short) (dateLevel << 8 | imageLevel);
        }
    }

    private int imageLevel(double value) {
        int level = imageStep > 0 ? 1 + (int) ((value - imageLow) / imageStep) : 1;
        return Math.max(1, Math.min(LEVELS - 1, level));
    }

    private int dateLevel(double value) {
        int at = Arrays.binarySearch(dateCuts, value);
        return 1 + (at < 0 ? -1 - at : at + 1);
    }

    private static double[] filled(int n, double value) {
        double[] array = new double[n];
        Arrays.fill(array, value);
        return array;
    }

    /** Extrema of each block of documents; NaN goes in where a document has no value. */
    static final class Blocks {
        private final double[] imageHigh;
        private final double[] dateLow;
        private final double[] dateHigh;
        private final boolean[] imageMissing;
        private final boolean[] dateMissing;

        Blocks(int maxDoc) {
            int n = (maxDoc >> BLOCK_SHIFT) + 1;
            imageHigh = filled(n, Double.NEGATIVE_INFINITY);
            dateLow = filled(n, Double.POSITIVE_INFINITY);
            dateHigh = filled(n, Double.NEGATIVE_INFINITY);
            imageMissing = new boolean[n];
            dateMissing = new boolean[n];
        }

        void image(int doc, double value) {
            int block = doc >> BLOCK_SHIFT;
            if (Double.isNaN(value)) {
                imageMissing[block] = true;
            } else {
                imageHigh[block] = Math.max(imageHigh[block], value);
            }
        }

        void date(int doc, double value) {
            int block = doc >> BLOCK_SHIFT;
            if (Double.isNaN(value)) {
                dateMissing[block] = true;
            } else {
                dateLow[block] = Math.min(dateLow[block], value);
                dateHigh[block] = Math.max(dateHigh[block], value);
            }
        }

        Range images(int block) {
            return new Range(0, imageHigh[block], imageMissing[block]);
        }

        Range dates(int block) {
            return new Range(dateLow[block], dateHigh[block], dateMissing[block]);
        }
    }
}
