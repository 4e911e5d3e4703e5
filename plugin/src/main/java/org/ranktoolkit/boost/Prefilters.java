package org.ranktoolkit.boost;

import java.io.IOException;
import org.apache.lucene.index.LeafReaderContext;

/** Gets a segment's prefilter as soon as it pays: there is a threshold, and the segment's table is full. */
final class Prefilters {
    private final LeafFormula leaf;
    private final LeafReaderContext context;
    private final HighestRelevance highestRel;
    private final SegmentCache cache;
    private DocTable table; // null where there is none to be had
    private Prefilter prefilter;

    Prefilters(
            LeafFormula leaf,
            Formula formula,
            LeafReaderContext context,
            HighestRelevance highestRel,
            SegmentCache cache) {
        this.leaf = leaf;
        this.context = context;
        this.highestRel = highestRel;
        this.cache = cache;
        this.table = highestRel == HighestRelevance.UNKNOWN ? null : cache.table(context.reader(), formula);
    }

    /** Null until then. */
    Prefilter get() throws IOException {
        if (prefilter == null && table != null && leaf.threshold() > 0 && table.fill(context.reader(), cache)) {
            float highest = highestRel.in(context);
            if (Float.isFinite(highest)) {
                prefilter = new Prefilter(leaf, table, highest);
                leaf.use(prefilter);
            } else {
                table = null;
            }
        }
        return prefilter;
    }
}
