package org.ranktoolkit.boost;

import java.io.IOException;
import java.util.HashSet;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import org.apache.lucene.index.IndexReader;
import org.apache.lucene.index.LeafReader;

/**
 * What is kept of a segment between searches: extrema of fields that have no points, and tables of documents.
 *
 * <p>Bounded in bytes, the least recently used goes first; all of a segment goes when the segment closes.
 */
final class SegmentCache {
    /** What one entry is of; the range of a field has no second one, and a table may have no image. */
    private record Key(IndexReader.CacheKey segment, NumericField image, NumericField date) {}

    private final long maxBytes;
    private final Map<Key, DocTable> tables = new LinkedHashMap<>(16, 0.75f, true);
    private final Map<Key, Range> ranges = new LinkedHashMap<>();
    private final Set<IndexReader.CacheKey> watched = new HashSet<>();
    private long bytes;

    SegmentCache(long maxBytes) {
        this.maxBytes = maxBytes;
    }

    /** The extrema of a field in a segment: from its points, else from one scan. */
    Range range(LeafReader reader, NumericField field) throws IOException {
        if (reader.getFieldInfos().fieldInfo(field.name()) == null) {
            return Range.NONE;
        }
        Range points = Range.ofPoints(reader, field);
        if (points != null) {
            return points;
        }
        IndexReader.CacheHelper helper = reader.getCoreCacheHelper();
        if (helper == null) {
            return Range.UNKNOWN;
        }
        Key key = new Key(helper.getKey(), field, null);
        synchronized (this) {
            Range known = ranges.get(key);
            if (known != null) {
                return known;
            }
        }
        Range scanned = Range.scan(reader, field);
        synchronized (this) {
            watch(helper);
            ranges.put(key, scanned);
        }
        return scanned;
    }

    /** The table of a segment, full or not; null where there is no room for it, or age has no part. */
    synchronized DocTable table(LeafReader reader, Formula formula) {
        IndexReader.CacheHelper helper = reader.getCoreCacheHelper();
        long size = DocTable.bytes(reader.maxDoc());
        if (helper == null || size > maxBytes || formula.date() == null) {
            return null;
        }
        Key key = new Key(helper.getKey(), formula.image(), formula.date());
        DocTable table = tables.get(key);
        if (table == null) {
            watch(helper);
            table = new DocTable(reader.maxDoc(), formula.image(), formula.date());
            tables.put(key, table);
            bytes += size;
            Iterator<DocTable> oldest = tables.values().iterator();
            while (bytes > maxBytes) {
                bytes -= DocTable.bytes(oldest.next().codes.length);
                oldest.remove();
            }
        }
        return table;
    }

    /** Bytes of all tables. */
    synchronized long bytes() {
        return bytes;
    }

    private void watch(IndexReader.CacheHelper helper) {
        if (watched.add(helper.getKey())) {
            helper.addClosedListener(this::drop);
        }
    }

    private synchronized void drop(IndexReader.CacheKey segment) {
        watched.remove(segment);
        ranges.keySet().removeIf(key -> key.segment() == segment);
        tables.entrySet().removeIf(entry -> {
            boolean closed = entry.getKey().segment() == segment;
            if (closed) {
                bytes -= DocTable.bytes(entry.getValue().codes.length);
            }
            return closed;
        });
    }
}
