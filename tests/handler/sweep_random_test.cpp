// SPDX-License-Identifier: Apache-2.0
// Random schedules of a ring. The kernel posts commands, notices and padding, and takes answers
// out. The daemon reads at any time, the LUN answers in any order, the sweep looks, and the daemon
// starts anew. Cursor, walk and sweep are the product's.
//
// The daemon must read each entry as the kernel wrote it. Each command must be answered once, and
// by the right part: by the LUN if the daemon hands it over, by the sweep if the daemon throws it
// away. A notice must end the commands that it means and no others. At the end the ring must be
// empty.
//
//   BALLAST_SEED=<seed> build/tests/handler/sweep_random_test     repeats that run alone
#include "handler/sweep.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <map>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "lib/base/assert.h"
#include "tests/cmocka.h"
#include "tests/handler/made_up_ring.h"

using namespace ballast;
using handler::PassedOver;
using handler::RingCursor;
using handler::Sweep;
using test::MadeUpRing;

namespace {

constexpr std::uint32_t ring_commands = 12;
constexpr std::uint16_t most_ids = 40;
constexpr int steps_per_run = 400;
constexpr auto run_for = std::chrono::seconds{4};
// Once it has taken the event, the daemon reads what stands in the ring sooner than this.
constexpr Nanoseconds daemon_reads_within = Sweep::left_over_age - std::chrono::milliseconds{100};

std::uint64_t seed_of_this_run = 0;

// However a run ends that goes wrong, an assertion of the product included.
void say_seed(int) {
  char line[64];
  const int length = std::snprintf(line, sizeof line, "BALLAST_SEED=%llu\n",
                                   static_cast<unsigned long long>(seed_of_this_run));
  [[maybe_unused]] const ssize_t written =
      ::write(STDOUT_FILENO, line, static_cast<std::size_t>(length));
}

void check(bool holds, const char* what) {
  if (!holds) {
    std::printf("%s\n", what);
    std::fflush(stdout);
    std::abort();
  }
}

class World final : Sweep::Host {
 public:
  explicit World(std::uint64_t seed) : random_{seed} { start_daemon(); }

  void run() {
    for (int i = 0; i < steps_per_run; ++i) {
      step();
    }
    finish();
  }

 private:
  using Id = std::uint16_t;
  struct Command {
    std::uint64_t number;  // ids come again, numbers do not
    bool is_thrown_away;
    bool has_begun = false;
    bool is_answered = false;
    bool has_expired = false;  // the kernel answered its initiator, and keeps the id
  };
  struct Notice {
    std::vector<std::pair<Id, std::uint64_t>> means;
  };
  struct Entry {
    std::uint32_t position;
    std::uint32_t length;
    unsigned opcode;
    Id id;
    TimePoint posted;
    std::shared_ptr<const Notice> notice;
  };
  struct Batch {
    std::vector<Id> ids;
    RingCursor::Mark mark;
  };

  std::uint64_t draw(std::uint64_t below) { return random_() % below; }
  std::uint32_t size() { return ring_.mailbox().cmdr_size; }
  std::uint32_t tail() { return ring_.mailbox().cmd_tail; }

  void step() {
    switch (draw(12)) {
      case 0:
      case 1:
      case 2:
        return post_command(draw(3) == 0);
      case 3:
        return post_notice();
      case 4:
        return take_answers();
      case 5:
      case 6:
        return daemon_reads();
      case 7:
        return begin_batch();
      case 8:
        return answer_one();
      case 9:
        return let_time_pass(std::chrono::milliseconds{draw(2500)});
      case 10:
        return sweep_->look(now_);
      default:
        return now_and_then();
    }
  }
  void now_and_then() {
    const std::uint64_t what = draw(20);
    if (what == 0) {
      restart_daemon();
    } else if (what < 5 && !commands_.empty()) {
      auto command = commands_.begin();
      std::advance(command, static_cast<std::ptrdiff_t>(draw(commands_.size())));
      command->second.has_expired = true;
    }
  }

  // --- the kernel
  std::uint32_t room() {
    const std::uint32_t used = (ring_.head() + size() - cleaned_) % size();
    return size() - used - 8;
  }
  // Whether an entry of this length may be written now; pads to the ring's end if it must.
  bool make_room(std::uint32_t length) {
    const std::uint32_t to_end = size() - ring_.head();
    if (to_end >= length) {
      return room() >= length;
    }
    if (room() < to_end + length) {
      return false;
    }
    wrote(to_end, handler::abi::TCMU_OP_PAD, 0, [&] { ring_.pad(to_end); });
    return true;
  }
  template <class Write>
  void wrote(std::uint32_t length, unsigned opcode, Id id, Write write,
             std::shared_ptr<const Notice> notice = nullptr) {
    unread_.push_back({ring_.head(), length, opcode, id, now_, std::move(notice)});
    in_ring_.push_back(unread_.back());
    write();
  }
  void post_command(bool is_thrown_away) {
    Id id = 0;
    while (commands_.contains(id)) {
      ++id;
    }
    if (id == most_ids || !make_room(MadeUpRing::command_bytes)) {
      return;
    }
    commands_[id] = {.number = ++numbers_, .is_thrown_away = is_thrown_away};
    wrote(MadeUpRing::command_bytes, handler::abi::TCMU_OP_CMD, id, [&] {
      ring_.command(id, is_thrown_away ? MadeUpRing::vendor_specific : MadeUpRing::test_unit_ready);
    });
    event_ = true;
  }
  void post_notice() {
    const auto notice = std::make_shared<Notice>();
    std::vector<Id> ids;
    for (const auto& [id, command] : commands_) {
      if (!command.is_thrown_away && !command.has_expired && draw(3) == 0) {
        notice->means.emplace_back(id, command.number);
        ids.push_back(id);
      }
    }
    const auto length = static_cast<std::uint32_t>(
        (sizeof(handler::abi::tcmu_tmr_entry) + ids.size() * sizeof(Id) + 7) / 8 * 8);
    if (!make_room(length)) {
      return;
    }
    notices_.push_back(notice);
    const auto write = [&] { ring_.notice(ids, static_cast<std::uint32_t>(ids.size())); };
    wrote(length, handler::abi::TCMU_OP_TMR, 0, write, notice);
    event_ = true;
  }
  // What tcmu_handle_completions does.
  void take_answers() {
    while (cleaned_ != tail()) {
      const Entry entry = in_ring_.front();
      in_ring_.pop_front();
      check(entry.position == cleaned_, "cmd_tail is no entry's");
      if (entry.opcode == handler::abi::TCMU_OP_CMD) {
        handler::abi::tcmu_cmd_entry_hdr header;
        std::memcpy(&header, ring_.at(cleaned_), sizeof header);
        const auto command = commands_.find(header.cmd_id);
        check(command != commands_.end(), "the kernel is given an id that it does not know");
        check(command->second.is_answered, "cmd_tail passed a command that nobody answered");
        commands_.erase(command);
      }
      cleaned_ = (cleaned_ + entry.length) % size();
    }
  }

  // --- the daemon
  void start_daemon() {
    cursor_ = std::make_unique<RingCursor>(ring_.mapping());
    Sweep::Host& host = *this;
    sweep_ = std::make_unique<Sweep>(ring_.mapping(), *cursor_, host);
    while (!unread_.empty() && unread_.front().position != tail()) {
      unread_.pop_front();
    }
    event_ = true;
    is_awake_ = false;
  }
  // It ends as close() does: what it has read is answered; what it has not is for the next.
  void restart_daemon() {
    flush_plug();
    while (!batches_.empty()) {
      begin_batch();
    }
    while (unanswered() > 0) {
      answer_one();
    }
    take_answers();
    unread_ = in_ring_;
    // The next one sees those again that still stand in the ring.
    std::deque<std::shared_ptr<const Notice>> there;
    for (const Entry& entry : in_ring_) {
      if (entry.notice != nullptr) {
        there.push_back(entry.notice);
      }
    }
    for (const auto& notice : notices_) {
      check(std::find(there.begin(), there.end(), notice) != there.end(), "a notice was skipped");
    }
    notices_ = there;
    start_daemon();
  }
  // One entry, or it goes to sleep. What waited for long while it was busy elsewhere it reads as
  // soon as it has taken the event.
  void daemon_reads() {
    if (!is_awake_) {
      is_awake_ = std::exchange(event_, false);
      while (is_awake_ && !unread_.empty() &&
             now_ - unread_.front().posted >= daemon_reads_within) {
        read_entry();
      }
    } else if (unread_.empty()) {
      is_awake_ = false;
      (void)cursor_->more();  // it lingers
    } else {
      read_entry();
    }
  }
  void read_entry() {
    const Entry entry = unread_.front();
    unread_.pop_front();
    handler::abi::tcmu_cmd_entry_hdr header;
    std::memcpy(&header, ring_.at(entry.position), sizeof header);
    const bool is_as_written = header.len_op == (entry.length | entry.opcode) &&
                               header.cmd_id == entry.id &&
                               (header.uflags & handler::abi::TCMU_UFLAG_UNKNOWN_OP) == 0;
    check(is_as_written, "an entry was overwritten before the daemon read it");
    check(entry.opcode != handler::abi::TCMU_OP_CMD || commands_.contains(entry.id),
          "a command was answered before the daemon read it");
    if (entry.opcode != handler::abi::TCMU_OP_CMD || commands_.at(entry.id).is_thrown_away) {
      return;
    }
    const bool more = cursor_->arrived(entry.id);
    plug_.push_back(entry.id);
    if (!more) {
      flush_plug();
    }
  }
  void flush_plug() {
    if (!plug_.empty()) {
      batches_.push_back({.ids = std::exchange(plug_, {}), .mark = cursor_->mark()});
    }
  }
  void let_time_pass(Nanoseconds time) {
    if (is_awake_ && !unread_.empty()) {
      const TimePoint latest = unread_.front().posted + daemon_reads_within;
      time = std::min(time, std::max(latest - now_, Nanoseconds{0}));
    }
    now_ = now_ + time;
  }

  // --- the LUN; as Device
  void begin_batch() {
    if (batches_.empty()) {
      return;
    }
    const Batch batch = batches_.front();
    batches_.pop_front();
    const bool any = sweep_->any_before(batch.mark);
    for (const Id id : batch.ids) {
      if (any) {
        sweep_->before(id);
      }
      Command& command = commands_.at(id);
      check(!command.has_begun, "a command began twice");
      command.has_begun = true;
      begun_.push_back(id);
    }
    sweep_->reached(batch.mark);
  }
  void answer_one() {
    if (!begun_.empty()) {
      answer_begun(begun_.at(draw(begun_.size())));
    }
  }
  void answer_begun(Id id) {
    begun_.erase(std::find(begun_.begin(), begun_.end(), id));
    answer(id);
  }
  void answer(Id id) {
    Command& command = commands_.at(id);
    check(!command.is_answered, "a command was answered twice");
    command.is_answered = true;
    check(tail() != ring_.head(), "there is no entry for an answer");
    ring_.answer(id);
  }

  // --- what the sweep asks
  std::size_t unanswered() const override { return begun_.size(); }
  bool daemon_is_asleep() const override { return !event_; }
  void answer_thrown_away(Id id) override {
    check(commands_.contains(id), "the sweep answers a command that is none");
    check(commands_.at(id).is_thrown_away, "the sweep answers a command of the LUN");
    answer(id);
  }
  void abort_named(const PassedOver& names, std::size_t named) override {
    check(!notices_.empty() && is_this(*notices_.front(), names, named), "a notice was skipped");
    const Notice notice = *notices_.front();
    notices_.pop_front();
    const std::vector<Id> begun = begun_;
    for (const Id id : begun) {
      const std::pair<Id, std::uint64_t> it{id, commands_.at(id).number};
      const bool is_meant =
          std::find(notice.means.begin(), notice.means.end(), it) != notice.means.end();
      check(names.is_named(id) == is_meant, "a notice names a command that it does not mean");
      if (is_meant) {
        answer_begun(id);
      }
    }
    for (const auto& [id, number] : notice.means) {
      const auto command = commands_.find(id);
      check(command == commands_.end() || command->second.number != number ||
                command->second.is_answered,
            "a notice came before a command that it means");
    }
  }
  static bool is_this(const Notice& notice, const PassedOver& names, std::size_t named) {
    return notice.means.size() == named &&
           std::all_of(notice.means.begin(), notice.means.end(),
                       [&](const auto& one) { return names.is_named(one.first); });
  }
  void skip_to(std::uint32_t position) override { ring_.mailbox().cmd_tail = position; }

  // Nothing comes any more: all must end.
  void finish() {
    for (int i = 0; i < 200; ++i) {
      daemon_reads();
      begin_batch();
      answer_one();
    }
    for (int i = 0; i < 3; ++i) {
      now_ = now_ + Sweep::left_over_age;
      sweep_->look(now_);
    }
    check(plug_.empty(), "the cursor says that more commands come, and none does");
    check(tail() == ring_.head(), "something is left in the ring");
    take_answers();
    check(commands_.empty(), "a command was not answered");
    check(notices_.empty(), "a notice was not heeded");
  }

  std::mt19937_64 random_;
  TimePoint now_{std::chrono::seconds{1}};
  MadeUpRing ring_{ring_commands};
  std::uint32_t cleaned_ = 0;  // the kernel took the answers before it
  std::map<Id, Command> commands_;
  std::uint64_t numbers_ = 0;
  std::deque<Entry> in_ring_;                          // from cleaned_ on
  std::deque<Entry> unread_;                           // from the daemon's position on
  std::deque<std::shared_ptr<const Notice>> notices_;  // not heeded yet
  bool event_ = false;
  bool is_awake_ = false;
  std::vector<Id> plug_;
  std::deque<Batch> batches_;
  std::vector<Id> begun_;  // and unanswered
  std::unique_ptr<RingCursor> cursor_;
  std::unique_ptr<Sweep> sweep_;
};

void each_entry_is_dealt_with_once(void**) {
  const char* const wanted = std::getenv("BALLAST_SEED");
  const auto end = std::chrono::steady_clock::now() + run_for;
  seed_of_this_run = wanted != nullptr ? std::strtoull(wanted, nullptr, 0) : std::random_device{}();
  std::size_t runs = 0;
  do {
    World{seed_of_this_run}.run();
    ++seed_of_this_run;
    ++runs;
  } while (wanted == nullptr && std::chrono::steady_clock::now() < end);
  std::printf("%zu runs\n", runs);
}

}  // namespace

int main() {
  std::signal(SIGABRT, &say_seed);
  const CMUnitTest tests[] = {cmocka_unit_test(each_entry_is_dealt_with_once)};
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
