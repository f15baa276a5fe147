// SPDX-License-Identifier: Apache-2.0
// How the objects of this room lie in memory (lib/base/anatomy.h), and where those of other rooms
// have its parts.
#pragma once

#include <cstddef>

#include "lib/base/anatomy.h"
#include "lib/base/units.h"
#include "lib/co/event.h"
#include "lib/co/gate.h"
#include "lib/co/intrusive_list.h"
#include "lib/co/wait.h"
#include "lib/co/watermark.h"

namespace ballast::co {

BALLAST_BEGIN_ANATOMY
struct Anatomy {
  static const anatomy::Type executor;
  static const anatomy::Type landmark;
  static const anatomy::Type task;
  static const anatomy::Type coroutine;  // of a coroutine's frame, whatever task it is of
  static const anatomy::Type place;      // what a std::source_location points to
  static const anatomy::Type wait;
  static const anatomy::Type mutex;
  static const anatomy::Type locker;  // who waits for a mutex
  static const anatomy::Root root;

  // The first member of a list, from the list's beginning on; and the next, in a member.
  template <class T>
  static constexpr std::size_t first_of = offsetof(IntrusiveList<T>, head_);
  template <class T>
  static constexpr std::size_t next_of = offsetof(T, next_);
  template <class T>
  static constexpr std::size_t size_of = offsetof(IntrusiveList<T>, size_);
  static constexpr std::size_t event_set = offsetof(Event, set_);
  static constexpr std::size_t gate_count = offsetof(Gate, count_);
  static constexpr std::size_t mark = offsetof(Watermark, mark_);
  static constexpr std::size_t waker_wait = offsetof(Waker, record_);
  static constexpr std::size_t waker_generation = offsetof(Waker, generation_);
};
BALLAST_END_ANATOMY

// Says that it was `now` at least: an executor that hangs, or has nothing to do, reads no clock. So
// the ages in a core file are right all the same. Any thread.
void note_time(TimePoint now);

}  // namespace ballast::co
