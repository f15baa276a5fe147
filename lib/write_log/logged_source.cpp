// SPDX-License-Identifier: Apache-2.0
#include "lib/write_log/logged_source.h"

#include <fmt/format.h>
#include <sys/random.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <new>
#include <optional>
#include <utility>

#include "lib/backend/checked.h"
#include "lib/backend/label.h"
#include "lib/base/errand.h"
#include "lib/base/log.h"
#include "lib/base/values.h"
#include "lib/co/sleep.h"
#include "lib/write_log/create.h"
#include "lib/write_log/let_go.h"
#include "lib/write_log/log_check.h"
#include "lib/write_log/logged_store.h"
#include "lib/write_log/write_log.h"

namespace ballast::write_log {
namespace {

using backend::StoreSource;

constexpr Nanoseconds look_interval = std::chrono::milliseconds{50};

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? std::string{name.data()}
                                                          : std::string{};
}

Result<Uuid> random_uuid() {
  Uuid uuid{};
  const ssize_t got = ::getrandom(uuid.data(), uuid.size(), 0);
  if (got != static_cast<ssize_t>(uuid.size())) {
    return Error{EIO, "the kernel gives no random number for a new write log"};
  }
  return uuid;
}

// How the log's device is opened: as a file or block device of its own, without the page cache.
backend::StoreOrder device_order(const backend::StoreOrder& order, const LogConfig& log,
                                 bool must_exist) {
  backend::StoreOrder its = order;
  its.config = {};
  its.config.kind = backend::find_kind("file");
  its.config.file.path = log.path;
  its.size = log.size;
  its.logical_block = Bytes{page};
  its.has_log = false;
  its.at_start = order.at_start || must_exist;
  return its;
}

std::string name_of(const backend::StoreOrder& order) {
  return backend::to_string(order.config);
}

}  // namespace

backend::Store LoggedSource::take() {
  if (whole_ == nullptr) {
    return std::move(store_);
  }
  return {.backend = std::move(whole_), .unheard_flush = std::move(store_.unheard_flush)};
}

co::Task<Result<void>> LoggedSource::finish(co::Executor& executor, co::CancelToken cancel) {
  (void)executor;
  store_ = inner_->take();
  Result<void> result = co_await put_log_before(cancel);
  if (result.ok() && cancel.requested()) {
    result = unwanted();
  }
  if (!result.ok() && whole_ != nullptr) {
    co_await whole_->close();
    whole_.reset();
  }
  if (device_ != nullptr) {
    co_await device_->close();
    device_.reset();
  }
  if (!result.ok() && store_.backend != nullptr) {
    co_await store_.backend->close();
    store_.backend.reset();
  }
  co_return result;
}

co::Task<Result<void>> LoggedSource::put_log_before(co::CancelToken cancel) {
  const bool has_log = store_.label.has_value() && store_.label->names_log();
  label_ = store_.label.value_or(backend::Label{});
  const Result<void> opened = co_await open_device(has_log, cancel);
  if (!opened.ok()) {
    co_return opened;
  }
  Result<bool> goes_alone = false;
  if (!has_log) {
    goes_alone = co_await was_let_go();
  }
  if (!goes_alone.ok()) {
    co_return goes_alone.error();
  }
  if (goes_alone.value()) {
    log(LogLevel::warning,
        "{}: {} has let its write log {} go before, so the LUN works without one: remove log= from "
        "its configuration, or name a new file",
        order_.lun, name_of(order_), log_.path);
    co_return Result<void>{};
  }
  if (!has_log) {
    const Result<void> made = co_await make_log(cancel);
    if (!made.ok()) {
      co_return made;
    }
  }
  WriteLog::Options options;
  options.identity = {.log = label_.log,
                      .store = label_.store,
                      .owner = label_.owner,
                      .lun = order_.size,
                      .block = block(),
                      .size = log_.size};
  options.host = host_name();
  options.store_name = name_of(order_);
  options.order = log_.order;
  options.sabotage = sabotage_;
  Result<std::unique_ptr<WriteLog>> log =
      co_await WriteLog::open(*device_, *store_.backend, options);
  if (!log.ok()) {
    co_return log.error();
  }
  std::unique_ptr<WriteLog> its = std::move(log).value();
  const bool put = put_before_store(&its);
  if (its != nullptr) {
    co_await its->close();
  }
  co_return put ? Result<void>{} : Error{ENOMEM, "out of memory"};
}

// False: memory has run out. What it has not taken of the log, the device and the store is where it
// was, for the caller to close.
bool LoggedSource::put_before_store(std::unique_ptr<WriteLog>* log) {
  try {
    auto logged = std::make_unique<LoggedStore>(std::move(store_.backend), std::move(device_),
                                                std::move(*log), label_, block(), sabotage_);
    logged_ = logged.get();
    whole_ = std::move(logged);
    whole_ = backend::make_checked(std::move(whole_));
  } catch (const std::bad_alloc&) {
    return false;
  }
  return true;
}

co::Task<Result<void>> LoggedSource::open_device(bool must_exist, co::CancelToken cancel) {
  const Result<std::unique_ptr<StoreSource>> source = open_device_(must_exist);
  if (!source.ok()) {
    co_return source.error();
  }
  State state = source.value()->state();
  while (state == State::trying || state == State::waiting) {
    const bool goes_on = co_await co::sleep_for(executor(), look_interval, cancel);
    if (!goes_on) {
      co_return unwanted();
    }
    state = source.value()->state();
  }
  if (state == State::refused) {
    const Error why = source.value()->error();
    co_return Error{why.errno_value,
                    fmt::format("its write log cannot be opened: {}", why.message)};
  }
  device_ = source.value()->take().backend;
  co_return Result<void>{};
}

co::Task<Result<bool>> LoggedSource::was_let_go() {
  Device device{*device_};
  Superblocks superblocks{device};
  const Result<Superblock> superblock = co_await superblocks.read();
  co_return superblock.ok() && superblock.value().incarnation > 0 && store_.label.has_value() &&
      has_let_go(label_, superblock.value());
}

co::Task<Result<void>> LoggedSource::make_log(co::CancelToken cancel) {
  const Result<Uuid> uuid = random_uuid();
  const Result<Uuid> store = random_uuid();
  if (!uuid.ok() || !store.ok()) {
    co_return uuid.ok() ? store.error() : uuid.error();
  }
  if (label_.store == Uuid{}) {
    label_.store = store.value();
  }
  label_.log = uuid.value();
  label_.host = host_name();
  label_.path = log_.path;
  log(LogLevel::info, "{}: making a write log of {} in {}", order_.lun,
      config::format_bytes(log_.size), log_.path);
  NewLog wanted{.log = label_.log,
                .identity = {.log = {},
                             .store = label_.store,
                             .owner = label_.owner,
                             .lun = order_.size,
                             .block = block(),
                             .size = log_.size},
                .host = label_.host,
                .store_name = name_of(order_)};
  const Result<void> made = co_await create(*device_, wanted, cancel);
  if (!made.ok()) {
    co_return made;
  }
  const Result<void> flushed = co_await flush_store(cancel);
  if (!flushed.ok()) {
    co_return flushed;
  }
  const Result<void> labelled = co_await store_.backend->write_label(label_);
  co_return labelled;
}

// With a log, flushes of the LUN need the log alone. So what was written before there was one must
// not stay in the store's cache.
co::Task<Result<void>> LoggedSource::flush_store(co::CancelToken cancel) {
  const IoStatus status = co_await store_.backend->flush(cancel);
  if (status == IoStatus::cancelled) {
    co_return unwanted();
  }
  if (ok(status)) {
    co_return Result<void>{};
  }
  log(LogLevel::error,
      "{}: {} was flushed before it got a write log, and reports: {}; what was written before may "
      "be "
      "lost: the next flush will fail, so that the initiator learns of it",
      order_.lun, name_of(order_), to_string(status));
  if (store_.unheard_flush == nullptr) {
    store_.unheard_flush = std::make_shared<backend::UnheardFlush>();
  }
  store_.unheard_flush->store(status, std::memory_order_relaxed);
  co_return Result<void>{};
}

std::uint8_t store_threads_for(const backend::StoreConfig& store, const LogConfig& log) {
  const int threads = (store.kind->submissions_sleep ? 1 : 0) + (log.path.empty() ? 0 : 1);
  return static_cast<std::uint8_t>(threads);
}

Result<void> check_logged(backend::StoreOrder order, const LogConfig& log, Nanoseconds patience) {
  order.has_log = !log.path.empty();
  if (const Result<void> store = backend::check(order, patience); !store.ok() || !order.has_log) {
    return store;
  }
  const std::optional<Result<void>> answer = ask_with_patience<Result<void>>(
      "ballast/check", patience, [order = std::move(order), log] { return check_log(order, log); });
  if (!answer.has_value()) {
    return Error{ETIMEDOUT,
                 fmt::format("the write log {} does not answer within {}: its disk hangs; try "
                             "again when it answers",
                             log.path, config::format_duration(patience))};
  }
  return *answer;
}

Result<std::unique_ptr<StoreSource>> open_logged(backend::StoreOrder order, const LogConfig& log,
                                                 const backend::OpenContext& context) {
  order.has_log = !log.path.empty();
  Result<std::unique_ptr<StoreSource>> inner = backend::open(order, context);
  if (!inner.ok() || !order.has_log) {
    return inner;
  }
  backend::OpenContext its = context;
  its.size = log.size;
  its.logical_block = Bytes{page};
  its.store_thread = order.config.kind->submissions_sleep ? 1 : 0;  // the last one
  auto open_device = [order, log, its](bool must_exist) {
    return backend::open(device_order(order, log, must_exist), its);
  };
  return std::unique_ptr<StoreSource>{std::make_unique<LoggedSource>(
      context.executor, std::move(inner).value(), std::move(order), log, std::move(open_device))};
}

}  // namespace ballast::write_log
