package org.ranktoolkit.boost;

import java.util.List;
import org.elasticsearch.plugins.Plugin;
import org.elasticsearch.plugins.SearchPlugin;

/** Registers the {@code rank_boost} query. */
public final class RankBoostPlugin extends Plugin implements SearchPlugin {
    private final SegmentCache cache = new SegmentCache();

    @Override
    public List<QuerySpec<?>> getQueries() {
        return List.of(new QuerySpec<>(
                RankBoostQueryBuilder.NAME,
                in -> new RankBoostQueryBuilder(in, cache),
                parser -> RankBoostQueryBuilder.fromXContent(parser, cache)));
    }
}
