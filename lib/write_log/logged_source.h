// SPDX-License-Identifier: Apache-2.0
// LoggedSource: gives a LUN its store with a write log in front of it.
//
// The store is opened first: its label (lib/backend/label.h) says which log it needs. If it needs
// one, the log's device is opened, never created, and must have that log. If it needs none, a file
// for the log is created where there is none, and a log is made in it. Only when that is durable,
// the label names it, so a crash in between leaves a store that needs no log. Then the log is read,
// which takes the longer the fuller it is; meanwhile the LUN is becoming ready.
//
// If the store has let go of this very log before, it is opened alone: the configuration may still
// name the log after a restart. (Whoever makes a LUN so is refused: check_logged().)
#pragma once

#include <cerrno>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "lib/backend/factory.h"
#include "lib/backend/label.h"
#include "lib/backend/store_source.h"
#include "lib/base/result.h"
#include "lib/write_log/log_config.h"
#include "lib/write_log/logged_store.h"
#include "lib/write_log/sabotage.h"

namespace ballast::write_log {

class LoggedSource final : public backend::StoreSource {
 public:
  // Begins to open the log's device; if `must_exist`, it is not created.
  using OpenDevice = std::function<Result<std::unique_ptr<backend::StoreSource>>(bool must_exist)>;

  // `store` gives the store of `order`.
  LoggedSource(co::Executor& executor, std::unique_ptr<backend::StoreSource> store,
               backend::StoreOrder order, const LogConfig& log, OpenDevice open_device,
               const Sabotage& sabotage = {})
      : executor_{executor},
        inner_{std::move(store)},
        order_{std::move(order)},
        log_{log},
        open_device_{std::move(open_device)},
        sabotage_{sabotage} {}

  co::Executor& executor() { return executor_; }
  State wait(Nanoseconds patience) override { return state_for(inner_->wait(patience)); }
  State state() override { return state_for(inner_->state()); }
  Error error() override { return inner_->error(); }
  co::Task<Result<void>> finish(co::Executor& executor, co::CancelToken cancel) override;
  // The store with its log, after finish() and before take(). Null: it has let that log go.
  LoggedStore* logged() { return logged_; }
  backend::Store take() override;

 private:
  static Error unwanted() { return {ECANCELED, "the LUN is being closed"}; }
  static State state_for(State state) { return state == State::opened ? State::found : state; }
  std::uint32_t block() const { return static_cast<std::uint32_t>(order_.logical_block.value()); }
  co::Task<Result<void>> put_log_before(co::CancelToken cancel);
  bool put_before_store(std::unique_ptr<WriteLog>* log);
  co::Task<Result<void>> open_device(bool must_exist, co::CancelToken cancel);
  co::Task<Result<void>> make_log(co::CancelToken cancel);
  co::Task<Result<void>> flush_store(co::CancelToken cancel);
  co::Task<Result<bool>> was_let_go();

  co::Executor& executor_;
  const std::unique_ptr<backend::StoreSource> inner_;
  const backend::StoreOrder order_;
  const LogConfig log_;
  const OpenDevice open_device_;
  const Sabotage sabotage_;
  backend::Store store_;
  std::unique_ptr<backend::Backend> device_;
  backend::Label label_;
  std::unique_ptr<backend::Backend> whole_;  // the store with its log
  LoggedStore* logged_ = nullptr;
};

// As backend::open() (factory.h), with a log in front of the store, if `log` names one.
Result<std::unique_ptr<backend::StoreSource>> open_logged(backend::StoreOrder order,
                                                          const LogConfig& log,
                                                          const backend::OpenContext& context);

// The store threads that a LUN's ring needs (io::UringOptions): the store and the log hang
// independently of each other.
std::uint8_t store_threads_for(const backend::StoreConfig& store, const LogConfig& log);

// As backend::check() (factory.h): the store, and whether its log could be used, if `log` names
// one.
Result<void> check_logged(backend::StoreOrder order, const LogConfig& log, Nanoseconds patience);

}  // namespace ballast::write_log
