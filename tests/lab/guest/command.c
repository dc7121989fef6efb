// The line protocol of load.c (included by it). One line of words, one line of answer:
//
//   [seq=N] KEY=VALUE...   -> seq=N ok            all of the keys are set, or none
//   [seq=N] stat           -> seq=N stat KEY=VALUE...
//   [seq=N] verify         -> seq=N verify checked=PAGES bad=PAGES
//                          -> seq=N error WHAT
//
// Keys: rate= amp= (KiB/s) period= phase= (ms) ws= hot_mib= (MiB) hot_share= zero= busy= (percent)
// plain= (percent) touch= (bytes, 8..4096) shape=constant|sine|square|phases order=seq|rand
// phases=MS:KIB,MS:KIB... (at most 32; repeated every period= when that is not 0)
//
// A line that ends in `!` is taken back, without an answer. A client sends "!" first, so that the rest of
// a line that another client did not finish is never carried out: "rate=20" may be half of "rate=2048".
//
// seq is only echoed: an answer meant for a client that has hung up can then be told from one's own.

static const char *SHAPE_NAMES[] = {"constant", "sine", "square", "phases"};

static const char *read_phases(const char *at, struct settings *set) {
  set->phase_count = 0;
  for (;;) {
    if (set->phase_count == MAX_PHASES) return 0;
    struct phase *phase = &set->phases[set->phase_count++];
    if (!(at = read_number(at, &phase->start_ms)) || *at++ != ':') return 0;
    if (!(at = read_number(at, &phase->rate_kib))) return 0;
    if (*at != ',') return at;
    at++;
  }
}

static const char *read_shape(const char *at, struct settings *set) {
  for (int i = 0; i < 4; i++) {
    const char *rest = after(at, SHAPE_NAMES[i]);
    if (rest && word_ends(rest)) {
      set->shape = (enum shape)i;
      return rest;
    }
  }
  return 0;
}

static const char *read_order(const char *at, struct settings *set) {
  const char *rest = after(at, "rand");
  set->random_order = rest != 0;
  return rest ? rest : after(at, "seq");
}

static const char *read_mib(const char *at, u32 *pages) {
  u32 mib;
  at = read_number(at, &mib);
  // Above this the product would wrap; the arena is smaller anyhow.
  *pages = mib > 4096 ? 4096 * PAGES_PER_MIB : mib * PAGES_PER_MIB;
  return at;
}

// Reads one KEY=VALUE into `set`; returns what follows it, or 0 when it is not understood.
static const char *read_setting(const char *word, struct settings *set, u32 *shape_ms) {
  const char *value, *rest = 0;
  if ((value = after(word, "rate="))) rest = read_number(value, &set->rate_kib);
  else if ((value = after(word, "amp="))) rest = read_number(value, &set->amplitude_kib);
  else if ((value = after(word, "period="))) rest = read_number(value, &set->period_ms);
  else if ((value = after(word, "phase="))) rest = read_number(value, shape_ms);
  else if ((value = after(word, "ws="))) rest = read_mib(value, &set->working_set_pages);
  else if ((value = after(word, "hot_mib="))) rest = read_mib(value, &set->hot_pages);
  else if ((value = after(word, "hot_share="))) rest = read_number(value, &set->hot_share_percent);
  else if ((value = after(word, "zero="))) rest = read_number(value, &set->zero_percent);
  else if ((value = after(word, "plain="))) rest = read_number(value, &set->plain_percent);
  else if ((value = after(word, "busy="))) rest = read_number(value, &set->busy_percent);
  else if ((value = after(word, "touch="))) rest = read_number(value, &set->touch_bytes);
  else if ((value = after(word, "phases="))) rest = read_phases(value, set);
  else if ((value = after(word, "order="))) rest = read_order(value, set);
  else if ((value = after(word, "shape="))) {
    rest = read_shape(value, set);
    *shape_ms = 0;
  }
  return rest && word_ends(rest) ? rest : 0;
}

// What is wrong with `set` as a whole, or 0.
static const char *fault_of(const struct load *load, const struct settings *set) {
  if (set->working_set_pages == 0 || set->working_set_pages > load->pages) return "ws";
  if (set->hot_pages > set->working_set_pages) return "hot_mib";
  if (set->hot_share_percent > 100) return "hot_share";
  if (set->zero_percent > 100) return "zero";
  if (set->plain_percent > 100) return "plain";
  if (set->busy_percent > 100) return "busy";
  if (set->touch_bytes < 8 || set->touch_bytes > PAGE_BYTES) return "touch";
  if ((set->shape == SHAPE_SINE || set->shape == SHAPE_SQUARE) && set->period_ms < 2) return "period";
  if (set->shape == SHAPE_PHASES && set->phase_count == 0) return "phases";
  return 0;
}

static void answer_stat(const struct load *load, char *at) {
  const struct settings *set = &load->set;
  at = put_pair(at, "stat up_ms=", load->uptime_ms);
  at = put_pair(at, " written=", load->written);
  at = put_pair(at, " bad=", load->bad);
  at = put_pair(at, " dropped=", load->dropped);
  at = put_pair(at, " rate_now=", rate_now_kib(load));
  at = put_pair(at, " rate=", set->rate_kib);
  at = put_text(put_text(at, " shape="), SHAPE_NAMES[set->shape]);
  at = put_pair(at, " amp=", set->amplitude_kib);
  at = put_pair(at, " period=", set->period_ms);
  at = put_pair(at, " phase=", load->shape_ms);
  at = put_pair(at, " ws=", set->working_set_pages / PAGES_PER_MIB);
  at = put_pair(at, " hot_mib=", set->hot_pages / PAGES_PER_MIB);
  at = put_pair(at, " hot_share=", set->hot_share_percent);
  at = put_pair(at, " busy=", set->busy_percent);
  at = put_pair(at, " touch=", set->touch_bytes);
  at = put_pair(at, " plain=", set->plain_percent);
  at = put_pair(at, " zero=", set->zero_percent);
  at = put_text(put_text(at, " order="), set->random_order ? "rand" : "seq");
  at = put_pair(at, " filled_mib=", load->filled / PAGES_PER_MIB);
  put_pair(at, " arena_mib=", load->pages / PAGES_PER_MIB);
}

// Reads every page that was ever written, also those that the load would not come to for long.
static void answer_verify(struct load *load, char *at) {
  u32 checked = 0, bad = 0;
  for (u32 page = 0; page < load->pages; page++) {
    if (load->generation[page] == 0) continue;
    checked++;
    if (!page_is_right(load, page)) bad++;
  }
  put_pair(put_pair(at, "verify checked=", checked), " bad=", bad);
}

static const char *skip_spaces(const char *at) {
  while (*at == ' ') at++;
  return at;
}

static void carry_out(struct load *load, const char *line, char *reply) {
  struct settings set = load->set;
  u32 shape_ms = load->shape_ms, sequence;
  const char *at = skip_spaces(line), *value = after(at, "seq="), *rest;
  if (value && (rest = read_number(value, &sequence))) {
    reply = put_text(put_pair(reply, "seq=", sequence), " ");
    at = skip_spaces(rest);
  }
  if ((rest = after(at, "stat")) && word_ends(rest)) {
    answer_stat(load, reply);
    return;
  }
  if ((rest = after(at, "verify")) && word_ends(rest)) {
    answer_verify(load, reply);
    return;
  }
  for (; *at; at = skip_spaces(rest)) {
    if ((rest = read_setting(at, &set, &shape_ms))) continue;
    put_text(put_text(reply, "error not understood: "), at);
    return;
  }
  const char *fault = fault_of(load, &set);
  if (fault) {
    reply = put_text(put_text(reply, "error out of range: "), fault);
    put_pair(reply, ", arena_mib=", load->pages / PAGES_PER_MIB);
    return;
  }
  load->set = set;
  load->shape_ms = shape_ms;
  put_text(reply, "ok");
}

static int load_command(struct load *load, const char *line, char *reply) {
  const char *end = line;
  while (*end) end++;
  if (end == line || end[-1] == '!') return 0;
  carry_out(load, line, reply);
  return 1;
}
