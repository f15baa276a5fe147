// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/run.h"

#include <algorithm>
#include <memory>

#include "tests/sim/chaos.h"
#include "tests/sim/initiator.h"

namespace ballast::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class Run {
 public:
  explicit Run(const RunOptions& options)
      : bounds_{options.bounds},
        random_{options.seed ^ 0x2a17},
        lun_{config_of(options)},
        chaos_{lun_, random_.next()} {}

  RunResult result();

 private:
  static LunConfig config_of(const RunOptions& options) {
    LunConfig config = Chaos::draw_config(options.seed);
    config.sabotage = options.sabotage;
    config.store_sabotage = options.store_sabotage;
    config.log_sabotage = options.log_sabotage;
    config.trace = options.trace;
    return config;
  }
  Habits draw_habits(std::uint32_t span);
  std::unique_ptr<Initiator> draw_initiator(std::uint32_t span, unsigned stops);
  void insist(const Wish& wish);
  void fill_library();
  void safety();
  void settle();
  // After a failure of the store, a log waits up to a minute before it tries again.
  Nanoseconds time_to_settle() { return seconds{lun_.log() != nullptr ? 90 : 22}; }
  void liveness();
  void read_everything();

  const RunBounds bounds_;
  co::Random random_;
  Lun lun_;
  Chaos chaos_;
  Neighbourhood neighbourhood_;
  std::vector<std::unique_ptr<Initiator>> initiators_;
  RunResult result_;
};

Habits Run::draw_habits(std::uint32_t span) {
  Habits habits;
  habits.span = span;
  habits.depth = static_cast<std::size_t>(1 + random_.below(span < most_blocks ? 4 : 8));
  habits.longest_think = milliseconds{1 + random_.below(400)};
  habits.longest_patience = milliseconds{1 + random_.below(random_.chance(1, 4) ? 20'000 : 500)};
  habits.give_up = static_cast<unsigned>(random_.below(400));
  habits.alter = static_cast<unsigned>(random_.below(400));
  habits.largest = static_cast<std::uint32_t>(1 + random_.below(8));
  habits.changes = static_cast<unsigned>(300 + random_.below(500));
  return habits;
}

// (Two draws within one call would come in an order that the compiler chooses.)
std::unique_ptr<Initiator> Run::draw_initiator(std::uint32_t span, unsigned stops) {
  Habits habits = draw_habits(span);
  habits.stops = stops;
  return std::make_unique<Initiator>(lun_, neighbourhood_, random_.next(), habits);
}

// Sends it again while it has a unit attention.
void Run::insist(const Wish& wish) {
  constexpr int attempts = 5;
  for (int i = 0; i < attempts; ++i) {
    const Issued& command = lun_.send(wish);
    lun_.sim().run_for(seconds{1});
    if (command.good()) {
      return;
    }
  }
  lun_.verdict().complain("{}, on a LUN that works, is never answered GOOD", wish.description());
}

// On a store without faults.
void Run::fill_library() {
  lun_.store().set_temper(Chaos::calm());
  neighbourhood_.library_data = ++neighbourhood_.last_data;
  insist(write_wish(library, neighbourhood_.library_data));
  insist(flush_wish());
  lun_.neighbour().shelve(neighbourhood_.library_data);
  lun_.store().set_temper(Chaos::draw_temper(random_));
}

void Run::safety() {
  constexpr TimePoint enough_time{seconds{300}};
  fill_library();
  const std::uint64_t initiators = 2 + random_.below(2);
  const unsigned stops = random_.chance(1, 3) ? 5 : 0;
  // Now and then all of them crowd on a few blocks.
  const auto span =
      static_cast<std::uint32_t>(random_.chance(1, 3) ? 6 + random_.below(12) : most_blocks);
  for (std::uint64_t i = 0; i < std::min<std::uint64_t>(initiators, bounds_.initiators); ++i) {
    initiators_.push_back(draw_initiator(span, stops));
    initiators_.back()->start();
  }
  while (lun_.commands() < bounds_.commands && lun_.sim().now() < enough_time) {
    const std::uint32_t fault = chaos_.next();
    lun_.sim().run_for(chaos_.pause());
    if (!bounds_.faults.has_value() || bounds_.faults->contains(fault)) {
      chaos_.act();
    }
  }
}

// All that is outstanding ends: by its deadline what is not at the store, and soon what is.
void Run::settle() {
  for (const std::unique_ptr<Initiator>& initiator : initiators_) {
    initiator->stop();
  }
  chaos_.stop();
  if ((lun_.store().fenced() || lun_.store().flushes_fail()) && !lun_.closing()) {
    lun_.close();
  }
  lun_.sim().run_for(time_to_settle());
  if (lun_.stopping() && !lun_.closing()) {
    lun_.close();
    lun_.sim().run_for(seconds{1});
  }
  if (lun_.closing()) {
    if (!lun_.closed()) {
      lun_.verdict().complain("the LUN is not closed long after the thaw");
      lun_.sim().run_until_idle();
    }
    lun_.reopen();
    if (lun_.log() != nullptr) {
      lun_.sim().run_for(seconds{2});
    }
  }
  lun_.neighbour().reopen();
  if (!lun_.ready()) {
    lun_.verdict().complain("the LUN is not ready long after the thaw");
  }
  insist(start_stop_wish(true));
  neighbourhood_.stopped = false;
  const bool stopped = std::all_of(initiators_.begin(), initiators_.end(),
                                   [](const auto& initiator) { return initiator->stopped(); });
  if (!stopped || lun_.unanswered() != 0 || lun_.tasks().unanswered() != 0 ||
      lun_.tasks().orphans() != 0 || lun_.tasks().stalled()) {
    lun_.verdict().complain(
        "long after the thaw: {} commands unanswered (the task set says {}), {} orphans{}",
        lun_.unanswered(), lun_.tasks().unanswered(), lun_.tasks().orphans(),
        lun_.tasks().stalled() ? ", stalled" : "");
  }
}

void Run::liveness() {
  lun_.set_limits(scsi::TaskSetLimits{});
  std::vector<std::unique_ptr<Initiator>> calm;
  constexpr std::size_t commands_each = 4;
  for (std::size_t i = 0; i < initiators_.size(); ++i) {
    calm.push_back(draw_initiator(most_blocks, 0));
    calm.back()->start_calm(commands_each);
  }
  lun_.sim().run_for(seconds{19});
  for (const std::unique_ptr<Initiator>& initiator : calm) {
    if (!initiator->stopped()) {
      lun_.verdict().complain("commands on a calm LUN take more than 19 s");
      lun_.sim().run_for(seconds{60});
    }
  }
}

void Run::read_everything() {
  lun_.resize(most_blocks);
  lun_.sim().run_for(seconds{1});
  insist(read_wish(Range{0, most_blocks}));
}

RunResult Run::result() {
  safety();
  settle();
  liveness();
  read_everything();
  const Tally tally = lun_.tally();
  result_.orphaned = tally.orphaned;
  result_.adoptions = tally.adoptions;
  result_.held = tally.held;
  result_.stalls = tally.stalls;
  result_.shed = tally.shed;
  result_.by_log = lun_.monitor().answered_by_log();
  result_.full_logs = lun_.monitor().log_was_full() ? 1 : 0;
  lun_.finish();
  result_.complaints = lun_.verdict().complaints();
  result_.commands = lun_.commands();
  result_.faults = chaos_.faults();
  result_.undecided = lun_.oracle().undecided();
  return result_;
}

}  // namespace

RunResult run(const RunOptions& options) {
  Run run{options};
  return run.result();
}

}  // namespace ballast::sim
