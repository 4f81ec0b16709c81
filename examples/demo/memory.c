#include "memory.h"

#include "node.h"

void memory_note(struct memory_peak *peak, const struct memory *now) {
    const size_t sum = now->streams + now->held + now->parked + now->channels;
    if (sum <= peak->sum) return;
    peak->sum = sum;
    peak->most = *now;
    peak->is_news = 1;
}

void memory_say(struct memory_peak *peak, unsigned loop) {
    if (!peak->is_news) return;
    peak->is_news = 0;
    const struct memory *most = &peak->most;
    node_say("memory %u %zu %zu %zu %zu", loop, most->streams, most->held, most->parked, most->channels);
}
