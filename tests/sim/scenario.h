// SPDX-License-Identifier: Apache-2.0
// Scenarios written by hand: a LUN whose store does everything at once unless it is frozen, and a
// way to play one scenario with every order of thawing. Include it before tests/cmocka.h.
//
//   test::in_every_order([](Choices& choices) {
//     Scene scene;
//     ...
//     scene.thaw(choices);           // whatever is at the store goes on, one by one
//     return scene.end();            // empty: all is well
//   });
#pragma once

#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "tests/sim/lun.h"

namespace ballast::sim {

// One number from each of a series of ranges; next() goes through all combinations, as an odometer
// does.
class Choices {
 public:
  std::size_t pick(std::size_t bound) {
    BALLAST_ASSERT(bound > 0);
    if (at_ == digits_.size()) {
      digits_.push_back(Digit{0, bound});
    }
    BALLAST_ASSERT(digits_[at_].bound == bound);  // the scenario is a function of its choices
    return digits_[at_++].value;
  }
  // False: that was the last one.
  bool next() {
    at_ = 0;
    while (!digits_.empty() && digits_.back().value + 1 == digits_.back().bound) {
      digits_.pop_back();
    }
    if (digits_.empty()) {
      return false;
    }
    ++digits_.back().value;
    return true;
  }
  std::string text() const {
    std::string all;
    for (const Digit& digit : digits_) {
      all += " " + std::to_string(digit.value);
    }
    return all;
  }

 private:
  struct Digit {
    std::size_t value;
    std::size_t bound;
  };
  std::vector<Digit> digits_;
  std::size_t at_ = 0;
};

class Scene : public Lun {
 public:
  explicit Scene(const LunConfig& config = {}) : Lun{config} {}

  // send(), and as far as it gets without time passing.
  Issued& begin(const Wish& wish) {
    Issued& command = send(wish);
    sim().run_ready();
    return command;
  }
  void pass(Nanoseconds time) { sim().run_for(time); }
  void pass_deadline() { sim().run_for(limits_in_force().deadline); }
  const scsi::TaskSetLimits& limits_in_force() const { return config().limits; }

  void freeze_changes() { store().freeze(Freeze{.reads = false, .flushes = false}); }
  void freeze_all() { store().freeze(Freeze{}); }
  // Operations that begin from now on are not frozen; those that are stay so.
  void hold_only_these() { store().keep_frozen(); }
  void release(std::size_t op) {
    store().release(op);
    sim().run_ready();
  }
  // Lets what is at the store go, one operation after the other, in the order of the choices, until
  // nothing is there any more; what comes meanwhile is held, and let go, too.
  void thaw(Choices& choices) {
    while (store().running() > 0) {
      const std::vector<std::size_t> frozen = store().running_numbers();
      release(frozen[choices.pick(frozen.size())]);
    }
  }
  std::size_t ops() { return store().ops().size(); }
  Content at(std::uint32_t block) { return store().content(block); }

  // Thaws, reads everything, closes, and says what is wrong; empty: nothing is.
  std::string end() {
    store().thaw();
    sim().run_for(std::chrono::seconds{60});
    if (closed()) {
      reopen();
    }
    const Issued* last = &begin(read_wish(Range{0, capacity()}));
    if (!last->good()) {  // a unit attention
      last = &begin(read_wish(Range{0, capacity()}));
    }
    std::string wrong = last->good() ? "" : "the last read is answered " + last->outcome() + "\n";
    finish();
    for (const std::string& complaint : verdict().complaints()) {
      wrong += complaint + "\n";
    }
    return wrong;
  }
};

// Plays `scenario`, which says what is wrong, with all choices; the answer names the first that
// went wrong. At most a hundred thousand of them.
template <class Scenario>
std::string in_every_order(Scenario scenario) {
  Choices choices;
  std::size_t played = 0;
  do {
    const std::string wrong = scenario(choices);
    if (!wrong.empty()) {
      return "choices" + choices.text() + ": " + wrong;
    }
    BALLAST_ASSERT(++played < 100'000);
  } while (choices.next());
  return "";
}

}  // namespace ballast::sim
