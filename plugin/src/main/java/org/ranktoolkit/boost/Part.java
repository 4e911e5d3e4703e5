package org.ranktoolkit.boost;

/**
 * One part of a score, reported under a name of its own.
 *
 * @param index which factor; 0 for the others
 */
record Part(Kind kind, int index) {
    enum Kind {
        IMAGE,
        FRESHNESS,
        FACTOR
    }
}
