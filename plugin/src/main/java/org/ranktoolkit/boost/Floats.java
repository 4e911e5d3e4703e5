package org.ranktoolkit.boost;

/** Searching among the floats of 0 and above, which are ordered as their bits are. */
final class Floats {
    /** A condition that holds from some float on. */
    interface Condition {
        boolean holds(float x);
    }

    private Floats() {}

    /**
     * The least float from 0 on for which the condition holds; {@link Float#MAX_VALUE} where it holds for none.
     *
     * @param guess where to look first; NaN and negative numbers count as 0
     */
    static float least(Condition condition, float guess) {
        int most = Float.floatToIntBits(Float.MAX_VALUE);
        int near = guess > 0 ? Math.min(Float.floatToIntBits(guess), most) : 0;
        int fails = -1, holds = most; // the condition fails at the first and, if anywhere, holds at the second
        int step = 1;
        if (condition.holds(Float.intBitsToFloat(near))) {
            holds = near;
            for (int at = near - step; at >= 0; at -= step) {
                if (condition.holds(Float.intBitsToFloat(at)) == false) {
                    fails = at;
                    break;
                }
                holds = at;
                step = Math.min(step << 1, 1 << 28);
            }
        } else {
            fails = near;
            for (int at = near + step; at < most && at > 0; at += step) {
                if (condition.holds(Float.intBitsToFloat(at))) {
                    holds = at;
                    break;
                }
                fails = at;
                step = Math.min(step << 1, 1 << 28);
            }
        }
        while (holds - fails > 1) {
            int middle = fails + (holds - fails) / 2;
            if (condition.holds(Float.intBitsToFloat(middle))) {
                holds = middle;
            } else {
                fails = middle;
            }
        }
        return Float.intBitsToFloat(holds);
    }
}
