// SPDX-License-Identifier: Apache-2.0
// LoggedStore: a store with a write log in front of it, as one backend.
//
// Changes and flushes need the log alone. A read takes each block from where its newest data is.
// log_coverage() says at each moment what needs nothing of the store, so that the task set watches
// the two separately. When the log is full, a change waits for the store to make room.
//
// When the log's device fails, nobody hears of it but the operator. Changes and flushes wait until
// the store has what was in the log. Then the store's label lets the log go, so that it cannot be
// opened again, and everything goes to the store directly, for as long as this backend lives. If
// the log cannot be read either, changes end with medium_error: the log still has the newest data
// of some blocks, and would bring it back over them.
//
// An operator may have the store let go of a log that works (lib/backend/log_control.h). The log is
// written back until little is left; meanwhile writers are paced (pacer.h). Then changes are held,
// for some seconds at most, until the store has the rest. In this moment the label lets the log go,
// durably, and then changes pass. If the store does not take the rest in time, changes go to the
// log again, and it is tried once more; if the log fails meanwhile, they go on as above. Only while
// the label is being written, which ends with the log empty, changes wait without a bound of their
// own: nobody knows then which label is on the store.
//
// Reads of what the log has, and of what the store has, go on all the time.
//
// past_log.cpp has what leads to its working without the log.
//
// It owns the store and the log's device. All are on one executor. Driving thread only.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/backend/backend.h"
#include "lib/backend/label.h"
#include "lib/backend/log_control.h"
#include "lib/backend/log_coverage.h"
#include "lib/base/result.h"
#include "lib/base/units.h"
#include "lib/co/cancel.h"
#include "lib/co/event.h"
#include "lib/co/gate.h"
#include "lib/co/intrusive_list.h"
#include "lib/co/landmark.h"
#include "lib/co/task.h"
#include "lib/co/task_group.h"
#include "lib/write_log/sabotage.h"
#include "lib/write_log/write_log.h"

namespace ballast::write_log {

class LoggedStore final : public backend::Backend,
                          private backend::LogCoverage,
                          private backend::LogControl {
 public:
  // `log` lies on `device` and writes to `store`, whose label is `label`. `block`: the LUN's
  // logical block in bytes, a multiple of the store's.
  // Throws std::bad_alloc. Then the caller still has all three.
  LoggedStore(std::unique_ptr<backend::Backend>&& store, std::unique_ptr<backend::Backend>&& device,
              std::unique_ptr<WriteLog>&& log, const backend::Label& label, std::uint32_t block,
              const Sabotage& sabotage = {});
  ~LoggedStore() override;

  WriteLog& write_log() { return *log_; }

  co::Executor& executor() override { return executor_; }
  const backend::Geometry& geometry() const override { return geometry_; }
  const backend::Capabilities& capabilities() const override { return capabilities_; }
  std::string description() const override;
  backend::Connection connection() const override { return store_->connection(); }
  co::Task<std::string> waits_for(Nanoseconds patience) override {
    return store_->waits_for(patience);
  }
  const backend::LogCoverage* log_coverage() const override { return this; }
  backend::LogControl* log_control() override { return this; }

  // What a log that is `its` is for the LUN, in words (ballast-json(5)). `is_past`: everything
  // goes to the store directly. `leaves`: it is about to.
  static const char* condition(WriteLog::State its, bool let_go, bool is_past, bool leaves);

  // How long changes are held for the rest of the log, at first; each time that this was not
  // enough, it is twice as long.
  static constexpr Nanoseconds first_hold = std::chrono::seconds{5};
  static constexpr Nanoseconds longest_hold = std::chrono::seconds{40};
  // Rounds that find less than a batch. Then it does not get less any more.
  static constexpr unsigned enough_small_rounds = 8;

  co::Task<IoStatus> read(Bytes offset, io::SgView to, co::CancelToken cancel) override;
  co::Task<IoStatus> write(Bytes offset, io::SgView from, backend::Fua fua,
                           co::CancelToken cancel) override;
  co::Task<IoStatus> write_once(Bytes offset, io::SgView from, backend::Fua fua,
                                co::CancelToken cancel) override;
  co::Task<IoStatus> zero(Bytes offset, Bytes length, backend::MayUnmap may_unmap,
                          co::CancelToken cancel) override;
  co::Task<IoStatus> discard(Bytes offset, Bytes length, co::CancelToken cancel) override;
  co::Task<IoStatus> flush(co::CancelToken cancel) override;
  co::Task<IoStatus> block_status(Bytes offset, Bytes length, std::size_t limit,
                                  std::vector<backend::Extent>* out) override;
  co::Task<std::optional<backend::Room>> room() override { return store_->room(); }
  co::Task<IoStatus> resize(Bytes size) override;
  co::Task<void> close() override;

 private:
  friend struct Anatomy;
  // An operation that changes blocks, in the log or in the store.
  enum class Way : std::uint8_t { write, write_once, zero, discard };
  struct Order {
    Way way = Way::write;
    Bytes offset{};
    Bytes length{};
    io::SgView from{};
    backend::Fua fua = backend::Fua::no;
    backend::MayUnmap may_unmap = backend::MayUnmap::no;
  };

  bool takes_changes() const override { return uses_log() && !is_held() && log_->takes_changes(); }
  bool is_passed_by() const override { return !uses_log(); }
  bool covers(Lba lba, BlockCount count) const override { return log_->covers(lba, count); }
  bool reads_store(Lba lba, BlockCount count) const override;
  watch::LogView view() const override;
  void hurry() override { log_->hurry(); }
  void want_to_let_go() override;

  Lba lba_of(Bytes offset) const { return Lba{offset.value() / block_}; }
  BlockCount blocks_of(Bytes length) const { return BlockCount{length.value() / block_}; }
  Change to_change(const Order& order) const;
  void learn_size();

  co::Task<IoStatus> change(Order order, co::CancelToken cancel);
  co::Task<IoStatus> change_store(Order order, co::CancelToken cancel);
  co::Task<IoStatus> flush_store(std::uint64_t failed_before, co::CancelToken cancel);

  // Whether everything goes to the store directly.
  bool is_past() const { return past_.is_set() && ok(past_status_); }
  bool works() const { return log_->state() == WriteLog::State::working; }
  bool uses_log() const { return works() && !going_past_; }
  void begin_to_pass();
  // Waits until is_past(). Any other status but cancelled stays for good.
  co::Task<IoStatus> wait_until_past(co::CancelToken cancel);
  co::Task<void> go_past();
  co::Task<bool> let_go();  // tries as often as the reaper does
  co::Task<Result<void>> put_label();
  void end_past(IoStatus status);

  // Operations that write to the log. They begin while nothing is held.
  class Logging;
  class StoreRead;
  bool is_wanted() const { return executor_.now() < wanted_until_; }
  bool is_held() const {
    return !sabotage_.log_takes_late && works() &&
           executor_.now() < std::min(hold_until_, wanted_until_);
  }
  void let_held_go_on();
  // False: it was cancelled.
  co::Task<bool> wait_while_held(co::CancelToken cancel);
  co::Task<void> leave_log();
  bool stays_to_leave() const { return is_wanted() && uses_log() && !stop_.requested(); }
  bool is_nearly_empty() const;
  co::Task<bool> cut_over();  // whether the log is past
  co::Task<void> close_log();

  // For the daemon's log: to say something there must need no memory.
  const std::string log_name_;
  const std::string store_name_;
  backend::Label label_;
  // What follows needs no memory either.
  const std::unique_ptr<backend::Backend> store_;
  const std::unique_ptr<backend::Backend> device_;
  const std::unique_ptr<WriteLog> log_;
  co::Executor& executor_;
  const std::uint64_t block_;
  const Sabotage sabotage_;
  backend::Geometry geometry_;
  backend::Capabilities capabilities_;
  bool going_past_ = false;
  IoStatus past_status_ = IoStatus::ok;  // once past_ is set
  co::Event past_;
  TimePoint wanted_until_{};  // that the store lets the log go
  bool leaving_ = false;      // a task sees to it
  bool let_go_ = false;       // it has
  bool log_closed_ = false;
  TimePoint hold_until_{};
  co::Event held_go_on_;
  std::uint64_t failed_flushes_ = 0;  // of the store
  co::IntrusiveList<StoreRead> store_reads_;
  std::uint64_t loggings_ = 0;  // that have begun
  unsigned logging_ = 0;        // that are under way
  co::Event none_logging_;
  co::CancelSource stop_;
  co::Gate operations_;
  co::TaskGroup tasks_;
  const co::Landmark landmark_;
};

}  // namespace ballast::write_log
