// SPDX-License-Identifier: Apache-2.0
// Interleavings: runs a few small threads in every possible order.
//
// The threads are functions that share atomics, descriptors and, under a lock of theirs, plain
// values (interleaved.h). Each operation on an atomic or a descriptor is a step. Between two steps
// any other thread may go on. A thread has no stack of its own. Its state is the list of results
// that its operations returned. To go on, the function is run again from its beginning and gets
// these results again. It does one more operation, and an exception ends it at the next one. So the
// state of all threads is a few numbers, which is copied at each choice. If a state was seen
// before, its continuations are counted but not run again. If a state can follow from itself, that
// is an interleaving without an end. (A state is recognised by a hash of 64 bits. Among a million
// states, the chance that two are confused is 1 in 40 million.)
//
// An operation on a cell that no other thread touches, or that no thread writes, is no step. The
// program finds out which cells these are. It assumes it of all cells at first, and begins again
// when one turns out otherwise.
//
// The memory model is that of x86. A store that is not seq_cst waits in a buffer of its thread,
// where only that thread sees it. It leaves the buffer at any time, in order, and at the latest
// before the thread's next read-modify-write, seq_cst store or system call.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <concepts>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <limits>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "lib/base/units.h"

namespace ballast::test {

class Interleavings {
 public:
  using Value = std::int64_t;
  static constexpr Value never = std::numeric_limits<Value>::max();

  struct Result {
    std::size_t states = 0;
    double interleavings = 0;  // a count, which a double holds to 15 digits
    std::string broken;        // what the first wrong interleaving broke; empty: none is wrong
    std::string schedule;      // the thread that went on at each of its steps
  };
  // Thrown by a thread, or by the check at the end.
  struct Broken {
    std::string what;
  };

  Interleavings() { current = this; }
  ~Interleavings() { current = nullptr; }
  Interleavings(const Interleavings&) = delete;
  Interleavings& operator=(const Interleavings&) = delete;

  // A step waits until one of the cells is not 0, or the clock has reached `at`.
  struct Until {
    std::array<int, 2> cells{-1, -1};
    Value at = never;
    bool now = false;  // the step waits for nothing
  };

  int add_cell(Value value) {
    start_.memory.push_back(value);
    return static_cast<int>(start_.memory.size()) - 1;
  }
  // Adds a thread. It calls `body` again until that returns `done`. `sleeps_for_ever`: it may still
  // be waiting at the end.
  enum class Next : bool { done, again };
  void add_thread(const char* name, std::function<Next()> body, bool sleeps_for_ever = false) {
    programs_.push_back({name, std::move(body), sleeps_for_ever});
    start_.threads.emplace_back();
    awake_.push_back(add_cell(1));
  }
  // `check` is called whenever no thread can go on.
  void at_end(std::function<void()> check) { check_ = std::move(check); }

  Result enumerate() {
    shared_.assign(start_.memory.size(), false);
    touched_.assign(start_.memory.size(), 0);
    written_.assign(start_.memory.size(), false);
    for (;;) {
      try {
        seen_.clear();
        path_.clear();
        enumerate_once();
        result_.states = seen_.size();
        return result_;
      } catch (const FoundShared&) {
      }
    }
  }

  // --- for the threads
  struct Step {
    int cell = -1;        // the cell that the step touches
    bool writes = false;  // it also writes the cell
    bool whole = false;   // the stores that wait in the thread's buffer leave it first
    Until until{.now = true};
  };
  template <class Operation>
  Value step(const Step& step, Operation operation) {
    Thread& thread = state_->threads[running_];
    if (position_ < thread.answers.size()) {
      return thread.answers[position_++];
    }
    // The first new operation of a run is the step. Later ones run only if they are no steps.
    const bool alone = steps_ == 0 && step.cell >= 0 &&
                       !shared_[static_cast<std::size_t>(step.cell)] &&
                       (!step.whole || thread.buffer.empty());
    if (!alone && steps_ == 0) {
      thread.until = step.until;
      throw Suspended{};
    }
    for (const int cell : {step.cell, step.until.cells[0], step.until.cells[1]}) {
      touch(cell, step.writes);
    }
    steps_ -= alone ? 0 : 1;
    while (step.whole && !thread.buffer.empty()) {
      flush(thread);
    }
    return answer(operation);
  }
  // Remembers the result of an operation that is no step of its own.
  template <class Operation>
  Value answer(Operation operation) {
    Thread& thread = state_->threads[running_];
    if (position_ == thread.answers.size()) {
      thread.answers.push_back(operation());
      thread.hash = mix(thread.hash, static_cast<std::uint64_t>(thread.answers.back()));
    }
    return thread.answers[position_++];
  }
  Value read(int cell) const {
    const auto& buffer = state_->threads[running_].buffer;
    for (auto store = buffer.rbegin(); store != buffer.rend(); ++store) {
      if (store->first == cell) {
        return store->second;
      }
    }
    return memory(cell);
  }
  void store_later(int cell, Value value) {
    state_->threads[running_].buffer.emplace_back(cell, value);
  }
  Value& memory(int cell) const { return state_->memory[static_cast<std::size_t>(cell)]; }
  std::size_t running() const { return running_; }
  // For sleeping as on a futex: `awake_cell()` is 0 while the thread sleeps.
  int awake_cell() const { return awake_[running_]; }
  void wake_all() {
    for (const int cell : awake_) {
      memory(cell) = 1;
    }
  }
  void set_clock(int cell) { clock_ = cell; }

  static inline Interleavings* current = nullptr;

 private:
  static constexpr double not_counted_yet = -1;
  static constexpr std::size_t most_steps = 1000;  // of one interleaving; one with more has no end

  struct Suspended {};
  struct FoundShared {};
  struct Thread {
    std::vector<Value> answers;
    std::uint64_t hash = 0;
    std::vector<std::pair<int, Value>> buffer;
    Until until;
    bool done = false;
  };
  struct State {
    std::vector<Value> memory;
    std::vector<Thread> threads;
  };
  struct Program {
    const char* name;
    std::function<Next()> body;
    bool sleeps_for_ever;
  };

  static std::uint64_t mix(std::uint64_t hash, std::uint64_t value) {
    hash = (hash ^ value) * 0x9e3779b97f4a7c15;
    hash = (hash ^ (hash >> 32)) * 0xd6e8feb86659fd93;
    return hash ^ (hash >> 29);
  }
  static std::uint64_t hash_of(const State& state) {
    std::uint64_t hash = 0;
    for (const Value value : state.memory) {
      hash = mix(hash, static_cast<std::uint64_t>(value));
    }
    for (const Thread& thread : state.threads) {
      hash = mix(hash, thread.hash);
      hash = mix(hash, thread.answers.size());
      for (const auto& [cell, value] : thread.buffer) {
        hash = mix(mix(hash, static_cast<std::uint64_t>(cell)), static_cast<std::uint64_t>(value));
      }
    }
    return hash;
  }

  void enumerate_once() {
    State first = start_;
    try {
      for (std::size_t i = 0; i < programs_.size(); ++i) {
        run(first, i, 0);
      }
      result_.interleavings = from(first);
    } catch (const Broken& broken) {
      result_.broken = broken.what;
      for (const std::string& step : path_) {
        result_.schedule += step + " ";
      }
    }
  }
  void touch(int cell, bool writes) {
    if (cell < 0) {
      return;
    }
    const auto i = static_cast<std::size_t>(cell);
    touched_[i] |= 1U << running_;
    written_[i] = written_[i] || writes;
    if (!shared_[i] && written_[i] && !std::has_single_bit(touched_[i])) {
      shared_[i] = true;
      throw FoundShared{};
    }
  }
  void flush(Thread& thread) {
    memory(thread.buffer.front().first) = thread.buffer.front().second;
    thread.buffer.erase(thread.buffer.begin());
  }
  void run(State& state, std::size_t thread, std::size_t steps) {
    state_ = &state;
    running_ = thread;
    position_ = 0;
    steps_ = steps;
    try {
      while (programs_[thread].body() == Next::again) {
        state.threads[thread].answers.clear();
        state.threads[thread].hash = 0;
        position_ = 0;
      }
      state.threads[thread].done = true;
    } catch (const Suspended&) {
    }
  }
  bool can_go_on(const State& state, const Thread& thread) const {
    const auto value = [&](int cell) { return state.memory[static_cast<std::size_t>(cell)]; };
    const Until& until = thread.until;
    return !thread.done && (until.now || (until.cells[0] >= 0 && value(until.cells[0]) != 0) ||
                            (until.cells[1] >= 0 && value(until.cells[1]) != 0) ||
                            (until.at != never && (clock_ < 0 || value(clock_) >= until.at)));
  }
  // The number of interleavings that begin with `state`.
  double from(const State& state) {
    const std::uint64_t hash = hash_of(state);
    if (const auto [seen, is_new] = seen_.emplace(hash, not_counted_yet); !is_new) {
      if (seen->second == not_counted_yet) {
        throw Broken{"it does not end"};
      }
      return seen->second;
    }
    if (path_.size() > most_steps) {
      throw Broken{"it does not end"};
    }
    double sum = 0;
    for (std::size_t i = 0; i < state.threads.size(); ++i) {
      if (can_go_on(state, state.threads[i])) {
        State next = state;
        path_.emplace_back(programs_[i].name);
        run(next, i, 1);
        sum += from(next);
        path_.pop_back();
      }
      if (!state.threads[i].buffer.empty()) {
        State next = state;
        path_.push_back(programs_[i].name + std::string{"'s-store"});
        state_ = &next;
        flush(next.threads[i]);
        sum += from(next);
        path_.pop_back();
      }
    }
    if (sum == 0) {
      check_end(state);
      sum = 1;
    }
    seen_[hash] = sum;
    return sum;
  }
  void check_end(const State& state) {
    for (std::size_t i = 0; i < programs_.size(); ++i) {
      if (!state.threads[i].done && !programs_[i].sleeps_for_ever) {
        throw Broken{std::string{programs_[i].name} + " waits for ever"};
      }
    }
    State last = state;
    state_ = &last;
    check_();
  }

  State start_;
  std::vector<Program> programs_;
  std::vector<int> awake_;
  std::function<void()> check_ = [] {};
  int clock_ = -1;
  // For each cell: whether using it is a step, which threads touched it, and whether one wrote it.
  std::vector<bool> shared_;
  std::vector<unsigned> touched_;
  std::vector<bool> written_;
  std::unordered_map<std::uint64_t, double> seen_;  // state, and interleavings that follow
  std::vector<std::string> path_;
  Result result_;
  State* state_ = &start_;
  std::size_t running_ = 0;
  std::size_t position_ = 0;
  std::size_t steps_ = 0;
};

}  // namespace ballast::test
