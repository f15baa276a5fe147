// SPDX-License-Identifier: Apache-2.0
// Elevator: which operation goes to a store next.
//
// A rotating disk takes far more changes than it can write soon, and a read that comes then waits
// for all of them. The kernel's schedulers order what waits before the disk; they do not bound what
// is in the disk already. So the elevator bounds how many changes are at the store (write_depth.h),
// and lets none go there while a read is late.
//
// When there is a place at the store, it is given away in this order:
//
//   1. a flush
//   2. a change that is owed. Each read that goes while changes wait counts one, each change takes
//      two back. When two batches are counted, a batch of changes is owed.
//   3. a read
//   4. a change
//
// Changes wait while the oldest read at the store is late: older than a quarter of the target
// latency. Each waits no longer than write_expire for that, and those that are owed no longer than
// read_expire. Those that are owed do not count how many are at the store already: otherwise, where
// many read at once, one change would go for all the reads that the store has taken.
//
// Reads go in the order of their addresses, from where the last operation ended, and then from the
// lowest again; so do changes. After a batch of one kind, its oldest goes first if it has waited
// for longer than its limit, and the order goes on from there.
//
// Bounds, as long as the store ends operations and there are places: the oldest read goes within
// read_expire and two batches, the oldest change within write_expire and three batches.
//
// Time passes only when operations come or end: no timer is needed, because an operation that waits
// has others before it at the store. If those hang, the task set answers by its deadlines.
//
// The owner makes it before the operations and destroys it after them. Driving thread only.
// Allocates nothing. What waits is bounded by its callers.
#pragma once

#include <array>
#include <boost/intrusive/set.hpp>
#include <coroutine>
#include <cstddef>
#include <cstdint>

#include "lib/backend/write_depth.h"
#include "lib/base/units.h"
#include "lib/co/intrusive_list.h"
#include "lib/co/timed_wait.h"

namespace ballast::backend {

// The limits that an elevator keeps. They may change while it is in use.
struct ElevatorRules {
  Nanoseconds read_expire = std::chrono::milliseconds{500};
  Nanoseconds write_expire = std::chrono::seconds{5};
  Nanoseconds target_latency = std::chrono::milliseconds{60};  // of a read at the store
  friend bool operator==(const ElevatorRules&, const ElevatorRules&) = default;
};

class Elevator {
 public:
  enum class Kind : std::uint8_t { read, change, flush };
  static constexpr std::size_t kinds = 3;
  static constexpr std::uint32_t batch = 16;
  static constexpr std::uint32_t batches_passed_over = 2;

  // `places`: the most operations at the store at once, at least 1.
  Elevator(co::Executor& executor, const ElevatorRules& rules, std::size_t places);
  ~Elevator();
  Elevator(const Elevator&) = delete;
  Elevator& operator=(const Elevator&) = delete;

  // A place at the store, from the end of the wait for it until it goes out of scope.
  class Seat : public co::ListNode<Seat> {
   public:
    Seat() = default;
    ~Seat();
    Seat(const Seat&) = delete;
    Seat& operator=(const Seat&) = delete;
    explicit operator bool() const { return elevator_ != nullptr; }

   private:
    friend class Elevator;
    void take(Elevator& elevator, Kind kind, TimePoint now);
    Elevator* elevator_ = nullptr;  // null: none is taken
    Kind kind_ = Kind::read;
    bool undisturbed_ = false;  // of a read: when it came, one change at most was there
    TimePoint since_{};
  };

  // Awaited until the seat is taken, or the wait is cancelled.
  class Waiter : public co::ListNode<Waiter>,
                 public boost::intrusive::set_base_hook<
                     boost::intrusive::link_mode<boost::intrusive::safe_link>> {
   public:
    Waiter(Elevator& elevator, Seat& seat, Kind kind, Bytes from, Bytes length,
           co::CancelToken token, co::Site site)
        : elevator_{elevator},
          seat_{seat},
          kind_{kind},
          from_{from},
          end_{from + length},
          wait_{elevator.executor_, "elevator", co::Timers::never, token, site} {}
    bool await_ready();
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> handle) {
      suspended_ = true;
      wait_.suspend(handle);
    }
    void await_resume();

   private:
    friend class Elevator;
    Elevator& elevator_;
    Seat& seat_;
    const Kind kind_;
    const Bytes from_;
    const Bytes end_;
    TimePoint since_{};
    bool suspended_ = false;
    bool granted_ = false;
    co::TimedWait wait_;
  };

  // The operation is at [from, from + length) of the store.
  Waiter take(Seat& seat, Kind kind, Bytes from, Bytes length, co::CancelToken token,
              co::Site site = co::Site::current()) {
    return Waiter{*this, seat, kind, from, length, token, site};
  }

  // The same for an operation that would not have to wait. Returns false if it would.
  bool take_at_once(Seat& seat, Kind kind, Bytes from, Bytes length);

  void set_rules(const ElevatorRules& rules);
  std::size_t waiting() const { return waiting_; }
  std::size_t at_store() const { return at_store_; }
  std::size_t write_depth() const { return depth_.depth(); }

  // For tests, which must notice it.
  enum class Sabotage : std::uint8_t { none, no_hold, changes_starve, depth_stays };
  void sabotage(Sabotage what) { sabotage_ = what; }

 private:
  struct AddressOf {
    using type = Bytes;
    const type& operator()(const Waiter& waiter) const { return waiter.from_; }
  };
  // The operations of one kind that wait.
  struct Queue {
    co::IntrusiveList<Waiter> by_age;
    boost::intrusive::multiset<Waiter, boost::intrusive::key_of_value<AddressOf>,
                               boost::intrusive::constant_time_size<false>>
        by_address;
  };
  void enter(Waiter& waiter);
  void leave(Waiter& waiter);
  // Gives away the places that there are.
  void give();
  Waiter* next(TimePoint now);
  Waiter* next_of(Kind kind, Nanoseconds limit, TimePoint now);
  bool may_change(TimePoint now) const;
  bool has_room_for_change() const;
  bool is_late(TimePoint now) const;
  void count(Kind kind, Bytes end);
  void count_batch(Kind kind);
  void ended(Seat& seat);
  Nanoseconds oldest_read(TimePoint now) const;  // at the store; 0: there is none
  const Queue& queue(Kind kind) const { return queues_[static_cast<std::size_t>(kind)]; }
  Queue& queue(Kind kind) { return queues_[static_cast<std::size_t>(kind)]; }

  co::Executor& executor_;
  ElevatorRules rules_;
  const std::size_t places_;
  WriteDepth depth_;
  std::array<Queue, kinds> queues_;
  std::size_t waiting_ = 0;           // in all queues
  std::size_t at_store_ = 0;          // places that are taken
  std::size_t changes_at_store_ = 0;  // of these, by changes
  co::IntrusiveList<Seat> reads_;     // at the store, the oldest first
  Bytes position_{};                  // where the last operation ended
  Kind batch_of_ = Kind::read;
  std::uint32_t batch_left_ = 0;
  std::uint32_t passed_over_ = 0;  // see the head: until changes are owed
  std::uint32_t owed_ = 0;         // changes that go before reads
  Sabotage sabotage_ = Sabotage::none;
};

}  // namespace ballast::backend
