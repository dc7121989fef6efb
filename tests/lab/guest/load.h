// The memory load that both guests run: it rewrites pages of an arena at an exact rate and checks
// every page that it is about to rewrite.
//
// Platform-free on purpose: no library, no clock, no input or output. mini.c (bare metal) and
// dirtier.c (Linux) each include load.c and give it memory, time and lines of text.
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long s64;

enum {
  PAGE_BYTES = 4096,
  PAGE_WORDS = PAGE_BYTES / 4,
  PAGES_PER_MIB = 256,
  MAX_PHASES = 32,
  LINE_BYTES = 1024,
};

enum shape { SHAPE_CONSTANT, SHAPE_SINE, SHAPE_SQUARE, SHAPE_PHASES };

// A step of SHAPE_PHASES: from start_ms on, dirty at rate_kib KiB/s.
struct phase {
  u32 start_ms;
  u32 rate_kib;
};

// What the commands set. A command line is parsed into a copy, so a bad line changes nothing.
struct settings {
  u32 rate_kib;      // KiB/s: the rate, or the middle of a sine or square
  u32 amplitude_kib; // KiB/s above and below rate_kib
  u32 period_ms;     // of sine and square; of phases when they repeat, else 0
  enum shape shape;
  struct phase phases[MAX_PHASES];
  u32 phase_count;
  u32 working_set_pages;
  u32 hot_pages;         // the first pages of the working set
  u32 hot_share_percent; // of the writes that go to the hot pages
  u32 busy_percent;      // of the time that the processor computes beside the rewriting
  u32 touch_bytes;       // rewritten in each page, 8..4096
  u32 plain_percent;     // of the pages: they hold text, all others random words
  u32 zero_percent;      // of the arena that stays untouched zero memory outside the working set
  u32 random_order;      // 0: pages in turn; 1: uniformly random, with replacement
};

struct load {
  struct settings set;
  u8 *arena;
  u8 *generation; // one byte a page: 0 = never written, else counts 1..255,1..
  u32 pages;      // in the arena
  u32 filled;     // pages from the start of the arena that hold data
  u32 random;     // xorshift state, never 0
  u32 hot_cursor, cold_cursor, hot_credit;
  u64 credit;    // KiB * ticks still to be written; a page costs 4 KiB * TICKS_PER_SECOND
  u64 written;   // pages rewritten since boot
  u64 dropped;   // pages given up because the processor could not keep up
  u64 ms_credit; // ticks * 1000 not yet counted as milliseconds
  u32 uptime_ms, shape_ms;
  u32 ready; // 1 once the memory has been filled for the first time; the load begins then
  u32 bad;   // pages that did not hold what was last written there
};

// Called with one line without line end: "ready", and pages found bad.
static void log_line(const char *line);

static void load_init(struct load *load, u8 *arena, u8 *generation, u32 pages);
// Lets `ticks` pass: fills and rewrites what is due, at most about a thousand pages at a time.
// Returns 1 while there is work left that is due now.
static int load_step(struct load *load, u32 ticks);
// Carries out one line and writes the answer (one line, no line end) to `reply`. Returns 0 when there
// is no answer: the line is empty or was taken back.
static int load_command(struct load *load, const char *line, char *reply);
