package org.ranktoolkit.boost;

import java.util.List;
import org.elasticsearch.common.settings.Setting;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.common.unit.ByteSizeValue;
import org.elasticsearch.plugins.Plugin;
import org.elasticsearch.plugins.SearchPlugin;

/** Registers the {@code rank_boost} query and its one setting. */
public final class RankBoostPlugin extends Plugin implements SearchPlugin {
    /** Heap that tables of documents may take on a node, in bytes or as a share; 0 does without them. */
    static final Setting<ByteSizeValue> CACHE_SIZE =
            Setting.memorySizeSetting("rank_boost.cache.size", "2%", Setting.Property.NodeScope);

    private final SegmentCache cache;

    public RankBoostPlugin(Settings settings) {
        this.cache = new SegmentCache(CACHE_SIZE.get(settings).getBytes());
    }

    @Override
    public List<Setting<?>> getSettings() {
        return List.of(CACHE_SIZE);
    }

    @Override
    public List<QuerySpec<?>> getQueries() {
        return List.of(new QuerySpec<>(
                RankBoostQueryBuilder.NAME,
                in -> new RankBoostQueryBuilder(in, cache),
                parser -> RankBoostQueryBuilder.fromXContent(parser, cache)));
    }
}
