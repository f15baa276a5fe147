// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/register.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <set>
#include <unordered_set>

#include "lib/base/assert.h"

namespace ballast::sim {
namespace {

constexpr std::size_t most_live = 64;
constexpr std::size_t most_states = 20'000;

// What the register holds, and which of the accesses under way have taken effect.
struct State {
  Content content;
  std::uint64_t done = 0;  // a bit for each slot
  friend bool operator==(const State&, const State&) = default;
  friend auto operator<=>(const State&, const State&) = default;
};

struct HashState {
  std::size_t operator()(const State& state) const {
    const std::uint64_t content = state.content.data() << 9 | state.content.block() << 2;
    return static_cast<std::size_t>((content ^ state.done) * 0x9e3779b97f4a7c15U >> 7);
  }
};

bool is_change(const Access& access) {
  return access.kind == Access::Kind::put || access.kind == Access::Kind::swap ||
         access.kind == Access::Kind::lose;
}

// Whether it can only have happened while the block held `content`.
bool must_find(const Access& access, Content content) {
  return (access.kind == Access::Kind::get && access.content == content) ||
         (access.kind == Access::Kind::swap && access.certain && access.expected == content);
}

struct Moment {
  std::uint64_t at;
  bool end;
  std::size_t access;
};

class Search {
 public:
  Search(std::span<const Access> accesses, Content initial) : accesses_{accesses} {
    states_.push_back(State{initial});
    slots_.fill(nobody);
    slot_of_.resize(accesses.size(), most_live);
  }
  Finding run();

 private:
  static constexpr std::size_t nobody = ~std::size_t{0};

  void choose();
  void expect(const Access& access, std::size_t how_many);
  bool arrive(std::size_t access);
  bool leave(std::size_t access);
  void read_now(State& state) const;
  bool still_wanted(const State& state, std::size_t slot) const;
  void leave_out_the_worse(std::vector<State>* states) const;
  std::size_t index_of(Content content) const {
    const auto found = std::lower_bound(contents_.begin(), contents_.end(), content);
    return static_cast<std::size_t>(found - contents_.begin());
  }
  std::optional<State> apply(State state, std::size_t slot) const;
  // All that `from` can become on the way to the first moment when `slot` has taken effect.
  void explore(const State& from, std::size_t slot, std::vector<State>* out);
  const Access& in(std::size_t slot) const { return accesses_[slots_[slot]]; }
  static bool satisfied(const Access& access, Content content) {
    return access.kind == Access::Kind::get       ? access.content == content
           : access.kind == Access::Kind::differs ? access.expected != content
                                                  : false;
  }

  std::span<const Access> accesses_;
  std::vector<Moment> moments_;
  // By content, in order; of accesses that have not arrived yet, how many must find it, and how
  // many can bring it.
  std::vector<Content> contents_;
  std::vector<std::size_t> wanted_;
  std::vector<std::size_t> sources_;
  std::vector<bool> silent_;  // by access: a change that nobody can have seen
  std::vector<State> states_;
  std::array<std::size_t, most_live> slots_;  // the access in each
  std::vector<std::size_t> slot_of_;          // by access
  std::uint64_t live_ = 0;                    // slots in use
  std::uint64_t live_silent_ = 0;
  std::uint64_t live_uncertain_ = 0;
  std::uint64_t live_reads_ = 0;
  bool overflow_ = false;
};

// Leaves out changes that may not have happened and that nobody can have seen, and marks as silent
// those that happened and were not seen: it costs nothing to let them happen just before another.
// (Somebody who found "not this content" may have seen any.)
void Search::choose() {
  std::set<Content> seen;
  std::uint64_t last_differs = 0;
  for (const Access& access : accesses_) {
    if (access.kind == Access::Kind::get) {
      seen.insert(access.content);
    } else if (access.kind == Access::Kind::swap || access.kind == Access::Kind::lose) {
      seen.insert(access.expected);
    } else if (access.kind == Access::Kind::differs) {
      last_differs = std::max(last_differs, access.ended);
    }
  }
  silent_.resize(accesses_.size());
  for (std::size_t i = 0; i < accesses_.size(); ++i) {
    const Access& access = accesses_[i];
    const bool unseen =
        is_change(access) && !seen.contains(access.content) && last_differs <= access.began;
    if (unseen && !access.certain) {
      continue;
    }
    silent_[i] = unseen && access.kind == Access::Kind::put;
    moments_.push_back({access.began, false, i});
    moments_.push_back({access.ended, true, i});
  }
  for (const Access& access : accesses_) {
    contents_.push_back(access.content);
    contents_.push_back(access.expected);
  }
  std::sort(contents_.begin(), contents_.end());
  contents_.erase(std::unique(contents_.begin(), contents_.end()), contents_.end());
  wanted_.resize(contents_.size() + 1);
  sources_.resize(contents_.size() + 1);
  for (const Moment& moment : moments_) {
    if (!moment.end) {
      expect(accesses_[moment.access], 1);
    }
  }
  std::sort(moments_.begin(), moments_.end(), [](const Moment& a, const Moment& b) {
    return a.at != b.at ? a.at < b.at : a.end < b.end;
  });
}

// Counts an access among those to come; with ~0, no longer.
void Search::expect(const Access& access, std::size_t how_many) {
  if (is_change(access)) {
    sources_[index_of(access.content)] += how_many;
  }
  for (const Content content : {access.content, access.expected}) {
    if (must_find(access, content)) {
      wanted_[index_of(content)] += how_many;
      break;
    }
  }
}

Finding Search::run() {
  choose();
  for (const Moment& moment : moments_) {
    const bool possible = moment.end ? leave(moment.access) : arrive(moment.access);
    if (overflow_ || states_.size() > most_states) {
      return {Judgement::undecided, moment.access};
    }
    if (!possible) {
      return {Judgement::wrong, moment.access};
    }
  }
  return {};
}

bool Search::arrive(std::size_t access) {
  std::size_t slot = 0;
  while (slot < most_live && slots_[slot] != nobody) {
    ++slot;
  }
  if (slot == most_live) {
    overflow_ = true;
    return true;
  }
  slots_[slot] = access;
  slot_of_[access] = slot;
  const std::uint64_t bit = std::uint64_t{1} << slot;
  live_ |= bit;
  live_silent_ |= silent_[access] ? bit : 0;
  live_uncertain_ |= accesses_[access].certain ? 0 : bit;
  live_reads_ |= is_change(accesses_[access]) ? 0 : bit;
  expect(accesses_[access], ~std::size_t{0});
  for (State& state : states_) {
    if (satisfied(accesses_[access], state.content)) {
      state.done |= bit;
    }
  }
  return true;
}

bool Search::leave(std::size_t access) {
  const std::size_t slot = slot_of_[access];
  const std::uint64_t bit = std::uint64_t{1} << slot;
  std::vector<State> next;
  for (const State& state : states_) {
    if ((state.done & bit) != 0 || !accesses_[access].certain) {
      next.push_back(state);
    }
    if ((state.done & bit) == 0) {
      explore(state, slot, &next);
    }
    if (overflow_) {
      return true;
    }
  }
  for (State& state : next) {
    state.done &= ~bit;
  }
  slots_[slot] = nobody;
  for (std::uint64_t* const set : {&live_, &live_silent_, &live_uncertain_, &live_reads_}) {
    *set &= ~bit;
  }
  std::sort(next.begin(), next.end());
  next.erase(std::unique(next.begin(), next.end()), next.end());
  leave_out_the_worse(&next);
  states_ = std::move(next);
  return !states_.empty();
}

// Reads change nothing, so the earliest moment is the best.
void Search::read_now(State& state) const {
  for (std::uint64_t left = live_ & ~state.done; left != 0; left &= left - 1) {
    const auto slot = static_cast<std::size_t>(std::countr_zero(left));
    if (satisfied(in(slot), state.content)) {
      state.done |= std::uint64_t{1} << slot;
    }
  }
}

// Whether somebody must find what `state` holds later than the change in `slot`, and nobody can
// bring it again.
bool Search::still_wanted(const State& state, std::size_t slot) const {
  const std::size_t index = index_of(state.content);
  if (index == contents_.size() || contents_[index] != state.content || sources_[index] > 0) {
    return false;
  }
  bool wanted = wanted_[index] > 0;
  for (std::uint64_t left = live_ & ~state.done; left != 0; left &= left - 1) {
    const auto other = static_cast<std::size_t>(std::countr_zero(left));
    if (is_change(in(other)) && in(other).content == state.content) {
      return false;
    }
    wanted = wanted || (other != slot && must_find(in(other), state.content));
  }
  return wanted;
}

// Of states with the same content one is no worse than another if it has all its reads behind it,
// none of its changes that may never happen, and the same of those that must.
void Search::leave_out_the_worse(std::vector<State>* states) const {
  constexpr std::size_t too_many = 1000;
  if (states->size() < 2 || states->size() > too_many) {
    return;
  }
  const std::uint64_t free = live_reads_ | live_uncertain_;
  const auto worse = [&](const State& state) {
    return std::any_of(states->begin(), states->end(), [&](const State& other) {
      return &other != &state && other.content == state.content &&
             ((other.done ^ state.done) & ~free) == 0 &&
             (state.done & live_reads_ & ~other.done) == 0 &&
             (other.done & live_uncertain_ & ~state.done) == 0;
    });
  };
  std::vector<State> best;
  std::copy_if(states->begin(), states->end(), std::back_inserter(best),
               [&](const State& state) { return !worse(state); });
  *states = std::move(best);
}

std::optional<State> Search::apply(State state, std::size_t slot) const {
  const Access& access = in(slot);
  if (access.kind == Access::Kind::swap && access.expected != state.content) {
    return std::nullopt;
  }
  if (access.kind == Access::Kind::lose && access.expected != state.content) {
    state.done |= std::uint64_t{1} << slot;  // it was overwritten, so it is not missed
    return state;
  }
  if (access.content != state.content && still_wanted(state, slot)) {
    return std::nullopt;
  }
  if (access.kind == Access::Kind::put) {
    state.done |= live_silent_;
  }
  state.content = access.content;
  state.done |= std::uint64_t{1} << slot;
  read_now(state);
  return state;
}

void Search::explore(const State& from, std::size_t slot, std::vector<State>* out) {
  std::unordered_set<State, HashState> known{from};
  std::vector<State> open{from};
  while (!open.empty()) {
    const State state = open.back();
    open.pop_back();
    for (std::uint64_t left = live_ & ~state.done; left != 0; left &= left - 1) {
      const auto change = static_cast<std::size_t>(std::countr_zero(left));
      if (in(change).kind == Access::Kind::get || in(change).kind == Access::Kind::differs) {
        continue;
      }
      const std::optional<State> after = apply(state, change);
      if (!after.has_value() || !known.insert(*after).second) {
        continue;
      }
      const bool there = (after->done >> slot & 1) != 0;
      (there ? *out : open).push_back(*after);
      if (known.size() + out->size() > most_states) {
        overflow_ = true;
        return;
      }
    }
  }
}

const char* verb(Access::Kind kind) {
  switch (kind) {
    case Access::Kind::put:
      return "puts";
    case Access::Kind::get:
      return "finds";
    case Access::Kind::differs:
      return "finds something else than";
    case Access::Kind::swap:
    case Access::Kind::lose:
      return "changes";
  }
  return "";
}

}  // namespace

Finding judge(std::span<const Access> accesses, Content initial) {
  return Search{accesses, initial}.run();
}

std::string describe(const Access& access) {
  const Content first = access.kind == Access::Kind::differs ? access.expected : access.content;
  std::string what = fmt::format("moments {}-{} command {} {} {} ", access.began, access.ended,
                                 access.command, access.name, verb(access.kind));
  what += access.kind == Access::Kind::swap || access.kind == Access::Kind::lose
              ? fmt::format("{} into {}", access.expected.name(), access.content.name())
              : first.name();
  return access.certain ? what : what + ", perhaps";
}

std::vector<std::string> neighbourhood(std::span<const Access> accesses, std::size_t wrong) {
  constexpr std::size_t most_lines = 40;
  std::vector<const Access*> around;
  for (const Access& access : accesses) {
    if (access.began <= accesses[wrong].ended) {
      around.push_back(&access);
    }
  }
  std::sort(around.begin(), around.end(),
            [](const Access* a, const Access* b) { return a->began < b->began; });
  if (around.size() > most_lines) {
    around.erase(around.begin(), around.end() - most_lines);
  }
  std::vector<std::string> lines;
  for (const Access* const access : around) {
    lines.push_back((access == &accesses[wrong] ? "=> " : "   ") + describe(*access));
  }
  return lines;
}

}  // namespace ballast::sim
