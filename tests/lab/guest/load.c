// See load.h. The including file defines TICKS_PER_SECOND and log_line().
#include "load.h"

#define BUSY_FRAME_MS 100
#define BUSY_LOOPS 10000
#define PAGE_COST (4ull * TICKS_PER_SECOND)

enum { PAGES_PER_STEP = 1024, FILL_PAGES_PER_STEP = 256, LOGGED_BAD_PAGES = 20 };

// Long division: a 32-bit bare-metal program has no library for it.
static u64 divide(u64 dividend, u32 divisor) {
  u64 quotient = 0, rest = 0;
  for (int bit = 63; bit >= 0; bit--) {
    rest = (rest << 1) | ((dividend >> bit) & 1);
    quotient <<= 1;
    if (rest >= divisor) {
      rest -= divisor;
      quotient |= 1;
    }
  }
  return quotient;
}

static u32 next_random(struct load *load) {
  u32 x = load->random;
  x ^= x << 13;
  x ^= x >> 17;
  x ^= x << 5;
  return load->random = x;
}

// ---- text ----

static char *put_text(char *at, const char *text) {
  while (*text) *at++ = *text++;
  *at = 0;
  return at;
}

static char *put_number(char *at, u64 value) {
  char digits[24];
  int count = 0;
  do {
    u64 tenth = divide(value, 10);
    digits[count++] = '0' + (char)(value - tenth * 10);
    value = tenth;
  } while (value);
  while (count) *at++ = digits[--count];
  *at = 0;
  return at;
}

static char *put_pair(char *at, const char *key, u64 value) {
  return put_number(put_text(at, key), value);
}

// If `word` starts with `prefix`, what follows it, else 0.
static const char *after(const char *word, const char *prefix) {
  while (*prefix)
    if (*word++ != *prefix++) return 0;
  return word;
}

static int word_ends(const char *at) { return *at == 0 || *at == ' '; }

// Reads a number of at most nine digits; returns what follows it, or 0 when there is none.
static const char *read_number(const char *at, u32 *value) {
  u32 result = 0;
  int digits = 0;
  for (; *at >= '0' && *at <= '9'; at++) {
    if (++digits > 9) return 0;
    result = result * 10 + (u32)(*at - '0');
  }
  *value = result;
  return digits ? at : 0;
}

// ---- shapes ----

// A quarter of a sine, times 32767, in 32 equal steps.
static const u16 QUARTER_SINE[33] = {
    0,     1608,  3212,  4808,  6393,  7962,  9512,  11039, 12539, 14010, 15446,
    16846, 18204, 19519, 20787, 22005, 23170, 24279, 25329, 26319, 27245, 28105,
    28898, 29621, 30273, 30852, 31356, 31785, 32137, 32412, 32609, 32728, 32767};

// Sine of `angle` (65536 = one turn), times 32767.
static int sine(u32 angle) {
  u32 quadrant = (angle >> 14) & 3, part = angle & 16383;
  if (quadrant & 1) part = 16384 - part;
  u32 step = part >> 9, rest = part & 511;
  int low = QUARTER_SINE[step], high = QUARTER_SINE[step < 32 ? step + 1 : 32];
  int value = low + ((high - low) * (int)rest) / 512;
  return quadrant & 2 ? -value : value;
}

static u32 rate_now_kib(const struct load *load) {
  const struct settings *set = &load->set;
  u32 at_ms = set->period_ms ? load->shape_ms % set->period_ms : load->shape_ms;
  s64 rate = set->rate_kib;
  if (set->shape == SHAPE_SINE)
    rate += ((s64)set->amplitude_kib * sine((u32)divide((u64)at_ms << 16, set->period_ms))) / 32767;
  else if (set->shape == SHAPE_SQUARE)
    rate += at_ms < set->period_ms / 2 ? (s64)set->amplitude_kib : -(s64)set->amplitude_kib;
  else if (set->shape == SHAPE_PHASES) {
    rate = set->phases[0].rate_kib;
    for (u32 i = 0; i < set->phase_count; i++)
      if (at_ms >= set->phases[i].start_ms) rate = set->phases[i].rate_kib;
  }
  return rate < 0 ? 0 : (u32)rate;
}

// ---- memory ----

static u32 *page_words(struct load *load, u32 page) {
  return (u32 *)(load->arena + (u64)page * PAGE_BYTES);
}

// What the first and the last word of a page hold after its `generation`th write.
static u32 page_mark(u32 page, u8 generation) { return 0x5a000000u ^ (page << 8) ^ generation; }

// ---- what pages hold ----

enum { LINE_WORDS = 16, TEXT_WORDS = 14, LINE_KINDS = 8 };

// What a log might say. The rest of a line is a number in hexadecimal: zlib and zstd make a fifth of it.
static const char LINES[LINE_KINDS][TEXT_WORDS * 4 + 1] = {
    "info: request served from the cache, took less than 1ms\n",
    "info: request forwarded to the storage node, waiting...\n",
    "warn: the queue is longer than usual, slowing down now \n",
    "info: session opened for user nobody by (uid=0), seat=0\n",
    "info: session closed for user nobody after 300 seconds \n",
    "debug: collected generation zero, nothing was promoted \n",
    "<tr><td class=\"name\">total</td><td class=\"number\">0.000\n",
    "{\"kind\":\"event\",\"level\":3,\"source\":\"worker\",\"code\":200}\n",
};

// Multiples of the golden ratio spread evenly, so that any run of pages has its share.
static int page_is_plain(const struct load *load, u32 page) {
  return ((page * 2654435769u) >> 16) * 100 < load->set.plain_percent << 16;
}

// Four hexadecimal digits as they stand in memory.
static u32 digits_word(u32 value) {
  u32 word = 0;
  for (u32 i = 0; i < 4; i++) word = (word << 8) | (u32)"0123456789abcdef"[(value >> i * 4) & 15];
  return word;
}

// Writes new data to the words from `first` up to `end`, which is left out.
static void put_data(struct load *load, u32 page, u32 first, u32 end) {
  u32 *words = page_words(load, page);
  if (!page_is_plain(load, page)) {
    for (u32 i = first; i < end; i++) words[i] = next_random(load);
    return;
  }
  u32 value = next_random(load);
  for (u32 i = first; i < end; i++) {
    u32 at = i % LINE_WORDS;
    if (at == 0) value = next_random(load);
    if (at < TEXT_WORDS) __builtin_memcpy(&words[i], &LINES[value % LINE_KINDS][at * 4], 4);
    else words[i] = digits_word(value >> (at - TEXT_WORDS) * 16);
  }
}

static void fill_page(struct load *load, u32 page) { put_data(load, page, 0, PAGE_WORDS); }

static int page_is_right(struct load *load, u32 page) {
  u32 *words = page_words(load, page);
  u32 mark = page_mark(page, load->generation[page]);
  return words[0] == mark && words[PAGE_WORDS - 1] == mark;
}

static void report_bad_page(struct load *load, u32 page) {
  if (++load->bad > LOGGED_BAD_PAGES) return;
  char line[LINE_BYTES], *at = put_pair(line, "lost page=", page);
  at = put_pair(at, " up_ms=", load->uptime_ms);
  at = put_pair(at, " generation=", load->generation[page]);
  at = put_pair(at, " found=", page_words(load, page)[0]);
  put_pair(at, " wanted=", page_mark(page, load->generation[page]));
  log_line(line);
}

static u32 pick(struct load *load, u32 *cursor, u32 count) {
  if (load->set.random_order) return (u32)(((u64)next_random(load) * count) >> 32);
  if (++*cursor >= count) *cursor = 0;
  return *cursor;
}

// The hot share is met exactly by counting, not by chance: short windows then agree as well.
static u32 pick_page(struct load *load) {
  u32 hot = load->set.hot_pages, all = load->set.working_set_pages;
  if (hot == 0) return pick(load, &load->cold_cursor, all);
  load->hot_credit += load->set.hot_share_percent;
  int to_hot = load->hot_credit >= 100;
  if (to_hot) load->hot_credit -= 100;
  if (to_hot || hot == all) return pick(load, &load->hot_cursor, hot);
  return hot + pick(load, &load->cold_cursor, all - hot);
}

static void write_page(struct load *load) {
  u32 page = pick_page(load);
  u32 *words = page_words(load, page);
  u8 *generation = &load->generation[page];
  if (*generation) {
    if (!page_is_right(load, page)) report_bad_page(load, page);
  } else if (page >= load->filled)
    fill_page(load, page);
  *generation = *generation == 255 ? 1 : *generation + 1;
  words[0] = words[PAGE_WORDS - 1] = page_mark(page, *generation);
  u32 end = 1 + (load->set.touch_bytes - 8) / 4;
  put_data(load, page, 1, end < PAGE_WORDS - 1 ? end : PAGE_WORDS - 1);
  load->written++;
}

// Pages from the start of the arena that are to hold data rather than zeros.
static u32 fill_target(const struct load *load) {
  u32 data = (u32)divide((u64)load->pages * (100 - load->set.zero_percent), 100);
  return data > load->set.working_set_pages ? data : load->set.working_set_pages;
}

static void fill_some(struct load *load) {
  u32 target = fill_target(load);
  for (u32 i = 0; i < FILL_PAGES_PER_STEP && load->filled < target; i++, load->filled++)
    if (load->generation[load->filled] == 0) fill_page(load, load->filled);
}

// ---- time ----

static void pass_time(struct load *load, u32 ticks) {
  load->ms_credit += (u64)ticks * 1000;
  u32 ms = (u32)divide(load->ms_credit, TICKS_PER_SECOND);
  load->ms_credit -= (u64)ms * TICKS_PER_SECOND;
  load->uptime_ms += ms;
  load->shape_ms += ms;
}

// Computes for the first part of every tenth of a second. Returns 1 while that part lasts.
static int compute(const struct load *load) {
  if (load->uptime_ms % BUSY_FRAME_MS >= load->set.busy_percent * BUSY_FRAME_MS / 100) return 0;
  // Long enough that the clock is not read all the time, which would keep the emulator busier than
  // the guest.
  for (volatile u32 i = 0; i < BUSY_LOOPS; i++) {}
  return 1;
}

static int load_step(struct load *load, u32 ticks) {
  pass_time(load, ticks);
  fill_some(load);
  if (!load->ready) {
    if (load->filled < fill_target(load)) return 1;
    load->ready = 1;
    load->shape_ms = 0;
    log_line("ready");
    return 0;
  }
  u32 rate = rate_now_kib(load);
  load->credit += (u64)rate * ticks;
  // At most half a second is caught up with: after a stall (a switch-over, a busy machine) a burst
  // far above the asked rate would be a load that nobody asked for.
  u64 most = (u64)rate * (TICKS_PER_SECOND / 2) + PAGE_COST;
  if (load->credit > most) {
    u32 dropped = 0;
    for (; load->credit > most; load->credit -= PAGE_COST) dropped++;
    load->dropped += dropped;
  }
  for (u32 i = 0; i < PAGES_PER_STEP && load->credit >= PAGE_COST; i++, load->credit -= PAGE_COST)
    write_page(load);
  int computing = compute(load);
  return computing || load->credit >= PAGE_COST || load->filled < fill_target(load);
}

static void load_init(struct load *load, u8 *arena, u8 *generation, u32 pages) {
  u8 *bytes = (u8 *)load;
  for (u32 i = 0; i < sizeof *load; i++) bytes[i] = 0;
  load->arena = arena;
  load->generation = generation;
  load->pages = pages;
  load->random = 2463534242u;
  load->set.working_set_pages = pages < 8 * PAGES_PER_MIB ? pages : 8 * PAGES_PER_MIB;
  load->set.touch_bytes = 8;
  load->set.zero_percent = 100;
}

#include "command.c"
