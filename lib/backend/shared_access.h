// SPDX-License-Identifier: Apache-2.0
// SharedAccess: a store that several machines may own in turn (shared_store.h): whose it is, and
// the session by which this machine uses it. What differs from one kind of store to the other is in
// the sessions (access_session.h): RbdSession, PrSession.
//
//   connecting -> standby -> transition -> active
//        ^           |            |           |
//        +-----------+------------+-----------+   lost, or given back: a new session
//
// The store is taken over only when take_over() asks for it, in the session that stands by. Who
// owned the store has no way back but a new session: commands of the old one may be older than the
// new owner's. The old session lives on until its last operation has ended. Its operations end with
// an error once the store answers, and nothing of them lands after the new owner's first change.
//
// How the loss of the store is noticed: an operation ends with an error that says so, or a look at
// the owner finds another one. Ballast looks every look_interval. If the process stood still for
// longer than most_still, somebody may have taken the store in that time, so the next change waits
// for a look that finds the store still ours.
//
// Threads. Everything here runs on the executor. Calls that block run on the session's control
// thread, so a store that hangs delays looks and takeovers, and nothing else.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lib/backend/access_session.h"
#include "lib/backend/shared_store.h"
#include "lib/base/line_limit.h"
#include "lib/base/units.h"
#include "lib/co/event.h"
#include "lib/co/landmark.h"
#include "lib/co/task_group.h"

namespace ballast::backend {

class SharedAccess final : public SharedStore {
 public:
  static constexpr Nanoseconds look_interval = std::chrono::seconds{2};
  static constexpr Nanoseconds most_still = std::chrono::seconds{2};
  static constexpr Nanoseconds beat_interval = std::chrono::milliseconds{500};
  // How often it checks whether a new session is open.
  static constexpr Nanoseconds connect_interval = std::chrono::milliseconds{20};
  // How long a session that is given back has for its operations, and then for closing in order.
  static constexpr Nanoseconds quiet_patience = std::chrono::seconds{5};
  // A takeover that nobody has asked for since then is not begun.
  static constexpr Nanoseconds wanted_for = std::chrono::seconds{30};

  // `first` is open, and its store is not ours. `lun` is the LUN's name, for the log.
  SharedAccess(co::Executor& executor, std::string lun, std::unique_ptr<AccessSession> first,
               std::unique_ptr<SessionSource> source);

  co::Executor& executor() override { return executor_; }
  void start(AccessWatcher& watcher) override;
  const Access& access() const override { return access_; }
  StoreOwner owner() const override { return owner_; }
  const char* condition() const override {
    return condition_of(access_, session_ != nullptr && !session_->lost());
  }
  std::string trouble() const override;
  co::Task<Move> take_over(Asker asker, TimePoint until, co::CancelToken cancel) override;
  co::Task<Move> give_back(Asker asker, TimePoint until, co::CancelToken cancel) override;
  void set_group(std::uint16_t group) override { group_ = group; }

  // --- for the data path
  //
  // The session to use; null unless the store is ours.
  AccessSession* session() const { return access_ == Access::active ? session_.get() : nullptr; }
  // An operation of `session` has found that the store is lost.
  void lost(const AccessSession& session, const char* why);
  // Whether a change must wait for verified(), which returns whether the store is still ours.
  bool must_verify() {
    note_time();
    return must_verify_;
  }
  co::Task<bool> verified();
  // The session that is open, whoever owns the store; null while there is none.
  AccessSession* open_session() const { return session_.get(); }

  // Ends every session. Once, as the last call.
  co::Task<void> close();

 private:
  friend struct Anatomy;
  enum class Wish : std::uint8_t { none, active, standby };

  co::Task<void> look_after();
  co::Task<void> beat();
  co::Task<void> connect();
  bool begin();
  void use_found();
  co::Task<void> wait_and_look();
  co::Task<int> look();
  co::Task<void> do_take_over();
  co::Task<void> do_give_back();
  co::Task<void> end_session(std::unique_ptr<AccessSession> session, bool ours);
  void retire();
  void note_owner(const OwnerSeen& seen);
  void note_time();
  bool is_held() const;
  void tell();
  void own(std::string address);
  void ask(Wish wish, Asker asker);
  void set_access(Access access, bool expected = false);
  void lose(const char* why);
  void end_attempt(Move outcome);

  co::Executor& executor_;
  const std::string lun_;
  const std::unique_ptr<SessionSource> source_;
  const SessionSource::Words words_;
  AccessWatcher* watcher_ = nullptr;
  Access access_ = Access::standby;
  std::uint16_t group_ = 0;
  std::unique_ptr<AccessSession> session_;
  std::size_t old_sessions_ = 0;
  std::size_t giving_back_ = 0;  // old sessions that still own the store

  StoreOwner owner_;
  bool looked_ = false;                // owner_ was read at least once
  std::string own_address_;            // the last address under which the store was ours
  std::optional<TimePoint> taken_at_;  // when another owner than before was first seen
  TimePoint next_look_{};

  Wish wish_ = Wish::none;
  bool by_operator_ = false;
  std::atomic<std::int64_t> wanted_until_{0};  // steady_clock, ns; the control thread reads it
  std::atomic<const char*> step_{nullptr};     // of the takeover under way, in words
  std::uint64_t attempts_ended_ = 0;
  Move outcome_ = Move::done;                           // of the last attempt
  std::string why_;                                     // it failed
  LineLimit move_lines_{20, std::chrono::seconds{10}};  // an initiator can ask again and again

  TimePoint beat_{};
  bool must_verify_ = false;
  co::Event stirred_;  // there is something to do
  co::Event changed_;  // set for a moment when anything has changed that somebody may wait for
  co::Event leaving_;  // close() was called
  co::TaskGroup tasks_;
  co::TaskGroup ending_;
  const co::Landmark landmark_;
};

}  // namespace ballast::backend
