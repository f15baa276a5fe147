// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/initiator.h"

#include <algorithm>
#include <utility>

#include "lib/co/sleep.h"

namespace ballast::sim {
namespace {

using Kind = Wish::Kind;
using scsi::SenseKey;

bool has_unit_attention(const Issued& command) {
  return command.status == scsi::Status::check_condition &&
         command.sense_key() == SenseKey::unit_attention;
}

}  // namespace

Initiator::Initiator(Lun& lun, Neighbourhood& neighbourhood, std::uint64_t seed,
                     const Habits& habits)
    : lun_{lun},
      neighbourhood_{neighbourhood},
      random_{seed},
      habits_{habits},
      group_{lun.executor()} {}

void Initiator::start() {
  for (std::size_t i = 0; i < habits_.depth; ++i) {
    group_.spawn("initiator", work(lun_.executor(), this));
  }
}

void Initiator::start_calm(std::size_t count) {
  for (std::size_t i = 0; i < habits_.depth; ++i) {
    group_.spawn("calm initiator", work_calmly(lun_.executor(), this, count));
  }
}

co::Task<void> Initiator::work(co::Executor& executor, Initiator* self) {
  while (!self->stop_.requested()) {
    Wish wish = self->draw();
    if (wish.kind == Kind::start_stop) {
      self->neighbourhood_.is_starting_or_stopping = true;
    }
    bool once_more = true;
    while (once_more) {
      co::Wait wait{executor, "an answer"};
      const Issued& command = self->lun_.send(wish, wait.waker());
      co_await wait;
      self->learn(command);
      once_more = self->again(command, &wish);
      if (once_more && command.turned_away()) {
        const Nanoseconds time = self->draw_time(self->habits_.longest_patience);
        const bool whole = co_await co::sleep_for(executor, time, self->stop_.token());
        once_more = whole;
      }
    }
    if (wish.kind == Kind::start_stop) {
      self->neighbourhood_.is_starting_or_stopping = false;
    }
    const Nanoseconds time = self->draw_time(self->habits_.longest_think);
    const bool whole = co_await co::sleep_for(executor, time, self->stop_.token());
    static_cast<void>(whole);
  }
}

co::Task<void> Initiator::work_calmly(co::Executor& executor, Initiator* self, std::size_t count) {
  bool told = false;
  for (std::size_t i = 0; i < count; ++i) {
    const Wish wish = self->draw();
    co::Wait wait{executor, "an answer"};
    const Issued& command = self->lun_.send(wish, wait.waker());
    co_await wait;
    self->learn(command);
    // A flush that failed before, and that nobody heard of, is reported now: once.
    const SenseKey key = command.sense_key();
    const SimLog* const log = self->lun_.log();
    const bool has_failed = self->lun_.store().has_failed_to_make_durable() ||
                            (log != nullptr && (log->has_failed() || log->has_failed_behind()));
    const bool first_told =
        !told && (key == SenseKey::medium_error || key == SenseKey::not_ready) && has_failed;
    told |= first_told;
    const bool fine = first_told || command.good() || has_unit_attention(command) ||
                      command.miscompared() || key == SenseKey::illegal_request ||
                      (key == SenseKey::copy_aborted && self->reaches_beyond_the_end(wish));
    if (!fine) {
      self->lun_.verdict().complain("command {} {} is answered {} although nothing is wrong",
                                    command.number, wish.description(), command.outcome());
    }
  }
}

bool Initiator::reaches_beyond_the_end(const Wish& wish) const {
  return std::ranges::any_of(wish.ranges, [this](const Range& range) {
    return range.lba + range.count > lun_.capacity();
  });
}

bool Initiator::again(const Issued& command, Wish* wish) {
  if (stop_.requested()) {
    return false;
  }
  if (has_unit_attention(command)) {
    return true;
  }
  if (!command.turned_away() || random_.chance(habits_.give_up, 1000)) {
    return false;
  }
  if (random_.chance(habits_.alter, 1000)) {
    alter(wish);
  }
  return true;
}

void Initiator::learn(const Issued& command) {
  const Wish& wish = command.wish;
  if (!command.good()) {
    return;
  }
  if (wish.kind == Kind::start_stop) {
    neighbourhood_.stopped = !wish.start;
  }
  wish.for_each_block([&](std::uint32_t block, std::uint32_t index) {
    Content& belief = neighbourhood_.belief[block];
    if (wish.kind == Kind::read) {
      belief = command.found[index].is_torn() ? Content{} : command.found[index];
    } else if (wish.changes()) {
      belief = wish.put(index);
    }
  });
}

Nanoseconds Initiator::draw_time(Nanoseconds longest) {
  return Nanoseconds{
      static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(longest.count()) + 1))};
}

// Now and then one that reaches beyond the end.
Range Initiator::draw_range() {
  const std::uint32_t capacity = lun_.capacity();
  const bool big = random_.chance(1, 24);
  const std::uint32_t largest = big ? capacity : habits_.largest;
  Range range;
  range.lba = library.count + static_cast<std::uint32_t>(
                                  random_.below(std::min(capacity - library.count, habits_.span)));
  range.count = static_cast<std::uint32_t>(1 + random_.below(largest));
  if (!random_.chance(1, 64)) {
    range.count = std::min(range.count, capacity - range.lba);
  } else {
    range.count = std::min(range.count, most_blocks - range.lba);
  }
  return range;
}

// Stopped, a LUN is of little use.
bool Initiator::wants_start_stop() {
  constexpr unsigned when_stopped = 200;
  return habits_.stops > 0 && !neighbourhood_.is_starting_or_stopping &&
         random_.chance(neighbourhood_.stopped ? when_stopped : habits_.stops, 1000);
}

Wish Initiator::draw() {
  if (wants_start_stop()) {
    const bool as_is = random_.chance(1, 10);
    return start_stop_wish(neighbourhood_.stopped != as_is);
  }
  const Range range = draw_range();
  if (random_.chance(habits_.changes, 1000)) {
    return draw_change(range);
  }
  const std::uint64_t lot = random_.below(100);
  Wish wish;
  if (lot < 72) {
    wish = read_wish(range);
    wish.fua = random_.chance(1, 10);
  } else if (lot < 84) {
    wish = flush_wish();
  } else if (lot < 96 || !lun_.config().capabilities.volatile_cache) {
    wish = draw_expecting(range);
    wish.kind = Kind::verify;
    if (random_.chance(1, 4)) {
      wish.bytchk = 0;
      wish.expected.clear();
    } else if (random_.chance(1, 3)) {
      wish.bytchk = 3;
      std::fill(wish.expected.begin(), wish.expected.end(), wish.expected.front());
    }
  } else {
    wish.kind = Kind::mode_select;
    wish.write_cache = random_.chance(1, 2);
  }
  wish.sixteen = random_.chance(1, 2);
  return wish;
}

Wish Initiator::draw_change(Range range) {
  const backend::Capabilities& store = lun_.config().capabilities;
  const std::uint64_t lot = random_.below(100);
  Wish wish;
  if (lot < 60) {
    wish = write_wish(range, new_data());
    wish.fua = random_.chance(1, 5);
    wish.and_verify = !wish.fua && random_.chance(1, 10);
  } else if (lot < 68) {
    wish = zero_wish(range);
    wish.may_unmap = store.zero_unmaps && random_.chance(1, 2);
  } else if (lot < 76) {
    wish = pattern_wish(range, new_data());
  } else if (lot < 86 && store.discard) {
    return draw_unmap(range);
  } else if (lot >= 94) {
    return draw_copy(range);
  } else {
    wish = draw_expecting(Range{range.lba, std::min(range.count, 4U)});
    wish.kind = Kind::compare_and_write;
    wish.data = write_wish(wish.range(), new_data()).data;
    wish.fua = random_.chance(1, 5);
  }
  wish.sixteen = random_.chance(1, 2);
  return wish;
}

Wish Initiator::draw_unmap(Range range) {
  std::vector<Range> ranges{range};
  while (ranges.size() < 4 && random_.chance(1, 3)) {
    ranges.push_back(draw_range());
  }
  return unmap_wish(std::move(ranges));
}

// Of what the library has, here or at the neighbour, to this range, or to two.
Wish Initiator::draw_copy(Range range) {
  Wish wish;
  wish.kind = Kind::copy;
  wish.from_neighbour = random_.chance(1, 2);
  wish.ranges = {range};
  if (random_.chance(1, 3)) {
    wish.ranges.push_back(draw_range());
  }
  for (Range& to : wish.ranges) {
    const auto first = static_cast<std::uint32_t>(random_.below(library.count));
    to.count = std::min(to.count, library.count - first);
    wish.sources.push_back(Range{library.lba + first, to.count});
    for (std::uint32_t i = 0; i < to.count; ++i) {
      wish.data.push_back(Content{neighbourhood_.library_data, first + i, 0});
    }
  }
  return wish;
}

// What the blocks are believed to hold; now and then something else.
Wish Initiator::draw_expecting(Range range) {
  Wish wish;
  wish.ranges = {range};
  for (std::uint32_t i = 0; i < range.count; ++i) {
    wish.expected.push_back(neighbourhood_.belief[range.lba + i]);
  }
  if (random_.chance(1, 20)) {
    wish.expected[static_cast<std::size_t>(random_.below(range.count))] = Content{};
  }
  return wish;
}

void Initiator::alter(Wish* wish) {
  if (wish->kind != Kind::read && wish->kind != Kind::write && wish->kind != Kind::write_same) {
    return;
  }
  Range& range = wish->ranges.front();
  const std::uint64_t lot = random_.below(4);
  const bool room = range.lba + range.count < lun_.capacity();
  if (lot == 0 && !wish->data.empty() && !wish->data.front().zero()) {
    Content& content = wish->data[static_cast<std::size_t>(random_.below(wish->data.size()))];
    content = Content{content.data(), content.block(), (content.variant() + 1) % Content::variants};
  } else if (lot == 1 && room) {
    ++range.count;
    if (wish->kind == Kind::write) {
      const Content last = wish->data.back();
      wish->data.push_back(Content{last.data(), last.block() + 1, 0});
    }
  } else if (lot == 2 && range.count > 1) {
    --range.count;
    if (wish->kind == Kind::write) {
      wish->data.pop_back();
    }
  } else if (room) {
    ++range.lba;
  }
}

}  // namespace ballast::sim
