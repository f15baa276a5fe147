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
// Reads of what the log has, and of what the store has, go on all the time.
//
// It owns the store and the log's device. All are on one executor. Driving thread only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "lib/backend/backend.h"
#include "lib/backend/label.h"
#include "lib/backend/log_coverage.h"
#include "lib/base/result.h"
#include "lib/base/units.h"
#include "lib/co/cancel.h"
#include "lib/co/event.h"
#include "lib/co/gate.h"
#include "lib/co/task.h"
#include "lib/co/task_group.h"
#include "lib/write_log/sabotage.h"
#include "lib/write_log/write_log.h"

namespace ballast::write_log {

class LoggedStore final : public backend::Backend, private backend::LogCoverage {
 public:
  // `log` lies on `device` and writes to `store`, whose label is `label`. `block`: the LUN's
  // logical block in bytes, a multiple of the store's.
  LoggedStore(std::unique_ptr<backend::Backend> store, std::unique_ptr<backend::Backend> device,
              std::unique_ptr<WriteLog> log, backend::Label label, std::uint32_t block,
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
  co::Task<IoStatus> resize(Bytes size) override;
  co::Task<void> close() override;

 private:
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

  bool takes_changes() const override { return !is_past() && log_->takes_changes(); }
  bool covers(Lba lba, BlockCount count) const override { return log_->covers(lba, count); }
  const char* condition() const override;
  std::uint32_t used_per_mille() const override {
    return static_cast<std::uint32_t>(log_->fullness());
  }

  Lba lba_of(Bytes offset) const { return Lba{offset.value() / block_}; }
  BlockCount blocks_of(Bytes length) const { return BlockCount{length.value() / block_}; }
  Change to_change(const Order& order) const;
  void learn_size();

  co::Task<IoStatus> change(Order order, co::CancelToken cancel);
  co::Task<IoStatus> change_store(Order order, co::CancelToken cancel);

  // Whether everything goes to the store directly.
  bool is_past() const { return past_.is_set() && ok(past_status_); }
  bool works() const { return log_->state() == WriteLog::State::working; }
  // Waits until is_past(). Any other status but cancelled stays for good.
  co::Task<IoStatus> wait_until_past(co::CancelToken cancel);
  co::Task<void> go_past();
  co::Task<bool> let_go();  // tries as often as the reaper does
  void end_past(IoStatus status);

  const std::unique_ptr<backend::Backend> store_;
  const std::unique_ptr<backend::Backend> device_;
  const std::unique_ptr<WriteLog> log_;
  co::Executor& executor_;
  backend::Label label_;
  const std::uint64_t block_;
  const Sabotage sabotage_;
  backend::Geometry geometry_;
  backend::Capabilities capabilities_;
  bool going_past_ = false;
  IoStatus past_status_ = IoStatus::ok;  // once past_ is set
  co::Event past_;
  co::CancelSource stop_;
  co::Gate operations_;
  co::TaskGroup tasks_;
};

}  // namespace ballast::write_log
