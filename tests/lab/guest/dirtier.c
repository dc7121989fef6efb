// The Linux guest's workload: load.c on anonymous memory, commands on a serial line.
//
//   dirtier DEVICE SETTINGS [ARENA_MIB]     DEVICE "-": standard input and output
//
// Without ARENA_MIB the arena is seven tenths of the memory that is free.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define TICKS_PER_SECOND 1000000u
#include "load.c"

enum { IDLE_MS = 5 };

static int out = 1;

static void log_line(const char *line) {
  char text[LINE_BYTES * 2 + 1];
  int length = snprintf(text, sizeof text, "%s\n", line);
  for (int sent = 0; sent < length;) {
    ssize_t count = write(out, text + sent, length - sent);
    if (count < 0 && errno != EAGAIN && errno != EINTR) return;
    if (count > 0) sent += count;
  }
}

static u64 now_us(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000ull + time.tv_nsec / 1000;
}

// Opens the line raw: no echo, no translation.
static int open_line(const char *device) {
  if (!strcmp(device, "-")) return 0;
  int file = open(device, O_RDWR | O_NOCTTY);
  struct termios mode;
  if (file < 0 || tcgetattr(file, &mode)) {
    perror(device);
    exit(1);
  }
  cfmakeraw(&mode);
  tcsetattr(file, TCSANOW, &mode);
  out = file;
  return file;
}

// Returns 0 when the line has been closed.
static int read_commands(struct load *load, int in, int wait_ms) {
  static char line[LINE_BYTES], reply[LINE_BYTES * 2];
  static size_t length;
  struct pollfd poll_in = {.fd = in, .events = POLLIN};
  if (poll(&poll_in, 1, wait_ms) <= 0) return 1;
  char bytes[64];
  ssize_t count = read(in, bytes, sizeof bytes);
  for (ssize_t i = 0; i < count; i++) {
    if (bytes[i] == '\r') continue;
    if (bytes[i] != '\n') {
      if (length < LINE_BYTES - 1) line[length++] = bytes[i];
      continue;
    }
    line[length] = 0;
    length = 0;
    if (load_command(load, line, reply)) log_line(reply);
  }
  return count > 0;
}

int main(int count, char **words) {
  static struct load load;
  static char reply[LINE_BYTES * 2];
  if (count < 3) {
    fprintf(stderr, "use: dirtier DEVICE SETTINGS [ARENA_MIB]\n");
    return 2;
  }
  struct sysinfo memory;
  sysinfo(&memory);
  u64 free_mib = memory.freeram * (u64)memory.mem_unit >> 20;
  u64 mib = count > 3 ? strtoul(words[3], 0, 10) : free_mib * 7 / 10;
  int in = open_line(words[1]);
  u8 *arena = mmap(0, mib << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  u8 *generation = calloc(mib, PAGES_PER_MIB);
  if (arena == MAP_FAILED || !generation) {
    perror("memory of the arena");
    return 1;
  }
  load_init(&load, arena, generation, mib * PAGES_PER_MIB);
  if (load_command(&load, words[2], reply)) log_line(reply);
  u64 last = now_us();
  for (int busy = 0;;) {
    if (!read_commands(&load, in, busy ? 0 : IDLE_MS)) return 0;
    u64 now = now_us();
    busy = load_step(&load, (u32)(now - last));
    last = now;
  }
}
