package org.ranktoolkit.boost;

import org.apache.lucene.util.Bits;
import org.apache.lucene.util.FixedBitSet;

/**
 * Leaves out documents that cannot reach the threshold, by their levels of image and date.
 *
 * <p>Three ways, from cheap to cheaper: a scored document is not looked up where its levels say enough; a mask keeps
 * documents from being scored that could not reach the threshold at the highest relevance; a block of documents is
 * passed over where none of it could. The mask is computed anew where the threshold has risen by more than a little;
 * until then it lets too many pass, never too few.
 */
final class Prefilter implements Bits {
    private static final float WORTH = 1.03f; // rise of the threshold that is worth another mask
    private static final double SELECTIVE = 0.7; // share of documents up to which a mask saves more than it costs
    private static final double SLACK = 1 - 1e-6; // however divisions round

    private final LeafFormula formula;
    private final DocTable table;
    private final float highestRel;
    private final double[] imageHigh = new double[DocTable.LEVELS]; // image term by level
    private final double[] freshHigh = new double[DocTable.LEVELS]; // freshness by level; -1: no document has it
    private final double[] combinedHigh = new double[DocTable.LEVELS]; // by image level, at the highest relevance
    private final double[] shareFrom = new double[DocTable.LEVELS + 1]; // of documents with that level or higher
    private final long[] passes = new long[DocTable.LEVELS * DocTable.LEVELS / Long.SIZE]; // a bit a pair of levels
    private final double highestRest;
    private float computedFor;
    private double share = 1; // of documents that pass, about
    private Bits live; // null: all

    Prefilter(LeafFormula formula, DocTable table, float highestRel) {
        this.formula = formula;
        this.table = table;
        this.highestRel = highestRel;
        this.highestRest = formula.highestRest();
        double highest = 0;
        for (int level = 0; level < DocTable.LEVELS; level++) {
            Range images = level == 0 ? Range.NONE : new Range(0, table.imageHigh[level], false);
            Range dates = level == 0 ? Range.NONE : new Range(table.dateLow[level], table.dateHigh[level], false);
            boolean isThere = level == 0 || images.isEmpty() == false;
            imageHigh[level] = isThere ? formula.imageUpper(images) : highest;
            highest = level == 0 ? 0 : imageHigh[level]; // it rises from level 1 on, so that it can be searched
            combinedHigh[level] = formula.combined(highestRel, imageHigh[level]);
            freshHigh[level] = table.dateCount[level] == 0 ? -1 : formula.freshnessUpper(dates);
        }
        for (int level = DocTable.LEVELS - 1; level > 0; level--) {
            shareFrom[level] = shareFrom[level + 1] + (double) table.imageCount[level] / length();
        }
    }

    /** Whether a document of that relevance cannot reach the threshold. */
    boolean isBelow(int doc, float rel) {
        int code = table.codes[doc];
        return formula.bound(rel, imageHigh[code & 0xff], freshHigh[code >> 8 & 0xff]) < formula.threshold();
    }

    /** What passes now: the mask, or what was accepted before where that leaves too little out. */
    Bits over(Bits accepted) {
        float threshold = formula.threshold();
        if (threshold >= computedFor * WORTH) {
            compute(threshold);
        }
        live = accepted;
        return share <= SELECTIVE ? this : accepted;
    }

    /** The first document from {@code doc} on in a block that may hold something of interest, or one from {@code end} on. */
    int nextBlock(int doc, int end) {
        while (doc < end && passes(doc >> DocTable.BLOCK_SHIFT) == false) {
            doc = (doc >> DocTable.BLOCK_SHIFT) + 1 << DocTable.BLOCK_SHIFT;
        }
        return doc;
    }

    /** Where the run of such blocks ends that {@code doc} is in. */
    int endOfBlocks(int doc, int end) {
        do {
            doc = (doc >> DocTable.BLOCK_SHIFT) + 1 << DocTable.BLOCK_SHIFT;
        } while (doc < end && passes(doc >> DocTable.BLOCK_SHIFT));
        return Math.min(doc, end);
    }

    private boolean passes(int block) {
        return formula.bound(
                        highestRel,
                        formula.imageUpper(table.blocks.images(block)),
                        formula.freshnessUpper(table.blocks.dates(block)))
                >= formula.threshold();
    }

    private void compute(float threshold) {
        computedFor = threshold;
        share = 0;
        for (int date = 0; date < DocTable.LEVELS; date++) {
            int row = date << 2;
            passes[row] = passes[row + 1] = passes[row + 2] = passes[row + 3] = 0;
            if (freshHigh[date] < 0) {
                continue;
            }
            double least = threshold / (freshHigh[date] * highestRest) * SLACK;
            int low = 1, high = DocTable.LEVELS; // the first level from 1 on that reaches it
            while (low < high) {
                int middle = (low + high) >>> 1;
                if (combinedHigh[middle] >= least) {
                    high = middle;
                } else {
                    low = middle + 1;
                }
            }
            for (int word = high >> 6; word < 4; word++) {
                passes[row + word] = word == high >> 6 ? -1L << high : -1L;
            }
            double images = shareFrom[high];
            if (combinedHigh[0] >= least) { // documents without a score
                passes[row] |= 1L;
                images += (double) table.imageCount[0] / length();
            }
            share += images * table.dateCount[date] / length();
        }
    }

    @Override
    public boolean get(int doc) {
        int code = table.codes[doc] & 0xffff;
        return (passes[code >> 6] >>> code & 1) != 0 && (live == null || live.get(doc));
    }

    @Override
    public int length() {
        return table.codes.length;
    }

    /** Part of {@link Bits} from Lucene 10 on. */
    public void applyMask(FixedBitSet docs, int offset) {
        long[] words = docs.getBits();
        int n = FixedBitSet.bits2words(docs.length());
        for (int i = 0; i < n; i++) {
            long left = words[i];
            int base = offset + (i << 6);
            for (long rest = left; rest != 0; rest &= rest - 1) {
                int bit = Long.numberOfTrailingZeros(rest);
                if (get(base + bit) == false) {
                    left &= ~(1L << bit);
                }
            }
            words[i] = left;
        }
    }
}
