// The small guest: a freestanding 32-bit PVH kernel that runs load.c and nothing else.
//
// Clock: the ACPI PM timer, because it is device state that migrates and follows the guest's own
// time (it stands still while the guest is paused). It has 24 bits and wraps every 4.69 s; the idle
// loop wakes 200 times a second, so a wrap is missed only if the guest stands still for longer
// than that while its clock runs, as in an interrupted post-copy. Up time is then short by
// multiples of 4.69 s; pages are checked all the same.
#define TICKS_PER_SECOND 3579545u
#include "load.c"

enum {
  COM1 = 0x3f8,
  COM1_LINE_STATUS = COM1 + 5,
  PM_TIMER = 0x608,
  ARENA_START = 0x400000, // above the kernel, its tables and stack
  KEPT_AT_TOP = 0x100000, // firmware tables live at the end of memory
  MAX_PAGES = 1024 * PAGES_PER_MIB,
};

// What the boot loader hands over (Xen's hvm_start_info, version 1); only the command line is used.
struct start_info {
  u32 magic, version, flags, module_count, modules_low, modules_high, command_line;
};

static struct load load;
static u8 generation[MAX_PAGES];

static void out8(u16 port, u8 value) { __asm__ volatile("outb %0,%1" ::"a"(value), "Nd"(port)); }
static void out32(u16 port, u32 value) { __asm__ volatile("outl %0,%1" ::"a"(value), "Nd"(port)); }
static u8 in8(u16 port) {
  u8 value;
  __asm__ volatile("inb %1,%0" : "=a"(value) : "Nd"(port));
  return value;
}
static u32 in32(u16 port) {
  u32 value;
  __asm__ volatile("inl %1,%0" : "=a"(value) : "Nd"(port));
  return value;
}

// The compiler calls these for structure copies even in a freestanding program.
void *memcpy(void *to, const void *from, u32 count) {
  u8 *t = to;
  const u8 *f = from;
  while (count--) *t++ = *f++;
  return to;
}
void *memset(void *to, int value, u32 count) {
  u8 *t = to;
  while (count--) *t++ = (u8)value;
  return to;
}

static void send_byte(char c) {
  while (!(in8(COM1_LINE_STATUS) & 0x20)) {
  }
  out8(COM1, (u8)c);
}

static void log_line(const char *line) {
  while (*line) send_byte(*line++);
  send_byte('\n');
}

static void start_serial(void) {
  out8(COM1 + 1, 0);    // no interrupts: the idle loop polls
  out8(COM1 + 3, 0x80); // 115200 baud, 8N1
  out8(COM1, 1);
  out8(COM1 + 1, 0);
  out8(COM1 + 3, 3);
  out8(COM1 + 2, 0xc7); // FIFO on
}

// Puts the ICH9's power-management ports at 0x600, where q35 firmware puts them too.
static void start_pm_timer(void) {
  out32(0xcf8, 0x8000f840);
  out32(0xcfc, 0x601);
  out32(0xcf8, 0x8000f844);
  out8(0xcfc, 0x80);
}

// Value of KEY=NUMBER in the kernel's command line, or 0.
static u32 option(const char *line, const char *key) {
  u32 value = 0;
  for (; *line; line++) {
    const char *rest = after(line, key);
    if (rest && read_number(rest, &value)) return value;
  }
  return value;
}

static void read_commands(void) {
  static char line[LINE_BYTES], reply[LINE_BYTES * 2];
  static u32 length;
  while (in8(COM1_LINE_STATUS) & 1) {
    char c = (char)in8(COM1);
    if (c == '\r') continue;
    if (c != '\n') {
      if (length < LINE_BYTES - 1) line[length++] = c;
      continue;
    }
    line[length] = 0;
    length = 0;
    if (load_command(&load, line, reply)) log_line(reply);
  }
}

void kernel_main(const struct start_info *info) {
  static char reply[LINE_BYTES * 2];
  start_serial();
  start_pm_timer();
  const char *options = (const char *)info->command_line;
  u32 pages = (option(options, "mem=") * 0x100000 - ARENA_START - KEPT_AT_TOP) / PAGE_BYTES;
  load_init(&load, (u8 *)ARENA_START, generation, pages < MAX_PAGES ? pages : MAX_PAGES);
  // The settings of the first moment follow the word "load:" in the command line.
  for (const char *at = options; *at; at++) {
    const char *settings = after(at, "load:");
    if (!settings) continue;
    if (load_command(&load, settings, reply)) log_line(reply);
    break;
  }
  u32 last = in32(PM_TIMER) & 0xffffff;
  for (;;) {
    u32 now = in32(PM_TIMER) & 0xffffff;
    int busy = load_step(&load, (now - last) & 0xffffff);
    last = now;
    read_commands();
    // Halting costs the host nothing; the timer chip wakes it 200 times a second.
    if (!busy) __asm__ volatile("sti; hlt; cli");
  }
}
