// SPDX-License-Identifier: Apache-2.0
#include "tests/control/luns.h"

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <thread>
#include <utility>

#include "handler/signals.h"

namespace ballast::testing {
namespace {

using namespace std::chrono_literals;

constexpr TimePoint now{1h};

watch::CommandRecord command(std::uint64_t number, const char* name, std::uint8_t opcode,
                             std::uint64_t lba, Nanoseconds age, watch::Stage stage) {
  watch::CommandRecord record;
  record.number = number;
  record.name = name;
  record.opcode = opcode;
  record.has_range = true;
  record.lba = Lba{lba};
  record.blocks = BlockCount{8};
  record.arrived = TimePoint{now.since_start - age};
  record.stage = watch::Stage::queue;
  record.stage_since = record.arrived;
  if (stage != watch::Stage::queue) {
    record.enter(stage, record.arrived + age / 4);
  }
  return record;
}

void stall(watch::LunSnapshot& lun) {
  lun.stalled_since = TimePoint{now.since_start - 4s};
  lun.unanswered = 2;
  lun.orphans = 1;
  lun.orphan_bytes = Bytes{4096};
  auto orphan = command(4711, "WRITE(10)", 0x2A, 2048, 25s, watch::Stage::backend);
  orphan.orphan = true;
  orphan.answered = TimePoint{now.since_start - 5s};
  auto retry = command(4720, "WRITE(10)", 0x2A, 2048, 1500ms, watch::Stage::fence);
  retry.adopts = true;
  auto flush = command(4719, "SYNCHRONIZE CACHE(10)", 0x35, 0, 7s, watch::Stage::backend);
  flush.has_range = false;
  lun.in_flight = {orphan, flush, retry};
  watch::SlowRequest slow;
  slow.record = command(4000, "READ(16)", 0x88, 81920, 90s, watch::Stage::queue);
  slow.record.enter(watch::Stage::backend, TimePoint{now.since_start - 89s});
  slow.ended = TimePoint{now.since_start - 80s};
  slow.record.enter(watch::Stage::answer, slow.ended);
  slow.ending = {"GOOD"};
  slow.waited_for = "osd.4, object y, for 8.0 s";
  lun.slow_requests = {slow};
  lun.connection = "reconnecting";
  lun.connection_since = TimePoint{now.since_start - 3s};
  lun.waits_for = "osd.3, object x, for 24.0 s";
  lun.slow_begun = 17;
  lun.stages.add(orphan, now);
  lun.store_errors = {{"write", "no space", 3, TimePoint{now.since_start - 60s}}};
  lun.tasks = {{"sweep", "timer", "device.cpp:210", 800ms},
               {"WRITE(10)", "file write", "file.cpp:98", 25s},
               {"main", "", "device.cpp:77", {}}};
}

}  // namespace

MadeUpLun::MadeUpLun(std::string name, std::string fault_control)
    : name_{std::move(name)}, fault_control_{std::move(fault_control)} {}

bool MadeUpLun::is(std::string_view kind) const {
  return std::string_view{name_}.starts_with(kind);
}

bool MadeUpLun::snapshot(const watch::Lists&, watch::LunSnapshot* into, Nanoseconds patience) {
  if (is("silent") || is("stuck")) {
    std::this_thread::sleep_for(patience);
    return false;
  }
  watch::LunSnapshot lun;
  lun.name = name_;
  lun.configuration = "file=/srv/" + name_ + ".raw";
  lun.backend = lun.configuration;
  lun.capacity = Bytes{std::uint64_t{3} << 29};
  lun.logical_block = Bytes{512};
  lun.deadline = 20s;
  lun.slow = 1s;
  lun.stall_after = 3s;
  lun.stall_window = 8;
  lun.queue_depth = 128;
  lun.mailbox = {.version = 2, .flags = 15, .ring_offset = 128, .ring_bytes = 8 << 20};
  lun.now = now;
  lun.opened = TimePoint{now.since_start - 125s};
  lun.counters.commands = 5000;
  lun.counters.good = 4990;
  lun.counters.adoptions = 3;
  lun.counters.read = Bytes{10 << 20};
  lun.reads.add(73us);
  if (is("stalled")) {
    stall(lun);
  } else {
    lun.unanswered = 1;
    lun.in_flight = {command(5000, "READ(10)", 0x28, 64, 300us, watch::Stage::backend)};
  }
  for (const watch::CommandRecord& record : lun.in_flight) {
    lun.oldest = std::min(lun.oldest.value_or(record.arrived), record.arrived);
  }
  if (is("faulty")) {
    lun.fault_control = fault_control_;
  }
  if (is("shared")) {
    lun.access = owner_ ? "owner" : "standby";
    lun.owner = owner_ ? "10.0.0.1:0/7" : "10.0.0.2:0/8";
  }
  if (is("logged")) {
    lun.backend += ";log=/fast/vol.log";
    lun.log = log();
  }
  *into = std::move(lun);
  return true;
}

std::optional<watch::StuckThread> MadeUpLun::stuck(Nanoseconds) const {
  if (!is("stuck") && !is("half")) {
    return std::nullopt;
  }
  watch::StuckThread stuck{.lun = name_,
                           .for_how_long = 12s,
                           .thread = 4711,
                           .thread_name = "ballast/" + name_,
                           .state = is("stuck") ? 'S' : 'D',
                           .drives = is("stuck"),
                           .what = "the command thread, while another thread drives the LUN"};
  if (is("stuck")) {
    stuck.task = "READ(10)";
    stuck.where = "file.cpp:98";
    stuck.what = "the coroutine \"READ(10)\", whose last wait was at file.cpp:98";
    stuck.kernel_place = "in futex_wait_queue";
  }
  return stuck;
}

// As a LUN does, it answers on another thread.
void MadeUpLun::move(bool here, std::function<void(Result<void>)> done) {
  const bool possible = is("shared") && here != owner_;
  owner_ = possible ? here : owner_;
  std::thread{[possible, done = std::move(done)] {
    done(possible ? Result<void>{} : Error{EOPNOTSUPP, "is not shared with another gateway"});
  }}.detach();
}

watch::LogView MadeUpLun::log() const {
  watch::LogView log{.device = "file=/fast/vol.log",
                     .used = Bytes{3 << 20},
                     .size = Bytes{64 << 20},
                     .first = 41,
                     .last = 43,
                     .oldest = TimePoint{now.since_start - 4200ms},
                     .store_speed = 1 << 20,
                     .epoch = 17};
  if (wishes_ > 2) {
    log.first = 44;
    log.used = {};
    log.oldest = {};
    log.state = lets_go_ ? "let go" : "working";
  } else if (lets_go_) {
    log.state = "letting go";
  }
  return log;
}

void MadeUpLun::write_log_back(bool lets_go, std::function<void(Result<watch::LunSnapshot>)> done) {
  ++wishes_;
  lets_go_ = lets_go_ || lets_go;
  watch::LunSnapshot lun;
  lun.name = name_;
  lun.backend = "file=/srv/" + name_ + ".raw";
  lun.log = log();
  Result<watch::LunSnapshot> answer = std::move(lun);
  if (!is("logged")) {
    answer = Error{EOPNOTSUPP, "has no write log"};
  }
  std::thread{[answer = std::move(answer), done = std::move(done)] { done(answer); }}.detach();
}

void MadeUpLun::tell(bool stalls) const {
  if (!is("stalled")) {
    return;
  }
  watch::StallNews news;
  news.lun.name = name_;
  news.lun.now = TimePoint{now.since_start + (stalls ? 0s : 9s)};
  news.lun.logical_block = Bytes{512};
  news.begin = {now, {}, 1};
  news.lun.unanswered = 2;
  news.lun.counters.commands = 5000;
  if (stalls) {
    news.lun.stalled_since = now;
    news.oldest = command(4711, "WRITE(10)", 0x2A, 2048, 3s, watch::Stage::backend);
  } else {
    news.lun.counters.held = 1;
    news.lun.counters.shed = 4;
    news.lun.counters.adoptions = 3;
    news.lun.store_errors = {{"write", "no space", 3, now}};
  }
  std::thread{[news] { handler::signal_stall(news); }}.join();
}

void MadeUpLun::daemon_stops() {
  std::fprintf(stderr, "%s: the daemon stops\n", name_.c_str());
}

}  // namespace ballast::testing
