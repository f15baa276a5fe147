// SPDX-License-Identifier: Apache-2.0
// Scenarios written by hand: a LUN whose store does everything at once unless it is frozen, and a
// way to play one scenario with every order of thawing. Include this file before tests/cmocka.h.
//
//   const std::string wrong = in_every_order([](Choices& choices) {
//     Scene scene;
//     ...
//     scene.thaw(choices);           // whatever is at the store goes on, one by one
//     return scene.end();            // empty: all is well
//   });
//
// Operations cannot be cancelled, so a command that is frozen past its deadline becomes an orphan.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tests/sim/lun.h"

namespace ballast::sim {

// Gives one number of each range; next() goes through all combinations, as an odometer does.
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
  // Returns false after the last combination.
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
  explicit Scene(const LunConfig& config = {}) : Lun{config} {
    store().set_temper(Temper{.cancellable = 0});
  }

  // Sends a command and lets it go as far as it gets without time passing.
  Issued& begin(const Wish& wish) {
    Issued& command = send(wish);
    sim().run_ready();
    return command;
  }
  void pass(Nanoseconds time) { sim().run_for(time); }
  void pass_deadline() { pass(config().limits.deadline); }

  // The same, but freezes all of its operations that reach the store.
  Issued& begin_frozen(const Wish& wish, const Freeze& rule = {}) {
    store().freeze(rule);
    Issued& command = begin(wish);
    store().keep_frozen();
    return command;
  }
  // The same, and waits for the deadline: the command is an orphan then, if it can be one.
  Issued& orphan(const Wish& wish, const Freeze& rule = {}) {
    Issued& command = begin_frozen(wish, rule);
    pass_deadline();
    return command;
  }
  void freeze_all() { store().freeze(Freeze{}); }
  void release(std::size_t op) {
    store().release(op);
    sim().run_ready();
  }
  // Lets the frozen operations at the store go, one after the other, in the order of the choices.
  void thaw(Choices& choices) {
    while (store().running() > 0) {
      const std::vector<std::size_t> frozen = store().running_numbers();
      release(frozen[choices.pick(frozen.size())]);
    }
  }
  // Lets the oldest one go.
  void thaw_one() { release(store().running_numbers().front()); }
  std::size_t ops() { return store().ops().size(); }  // operations that ever began
  Content at(std::uint32_t block) { return store().content(block); }

  // Thaws, reads everything and closes. Returns what is wrong; empty: nothing.
  std::string end() {
    store().thaw();
    squeeze_buffers(~std::size_t{0});
    pass(std::chrono::seconds{60});
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

// Plays `scenario`, which returns what is wrong, with all combinations of choices, at most a
// hundred thousand. Returns a text about the first one that went wrong.
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
