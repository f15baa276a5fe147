// SPDX-License-Identifier: Apache-2.0
#include "lib/write_log/write_log.h"

#include <fmt/format.h>

#include <cerrno>
#include <utility>

namespace ballast::write_log {

WriteLog::WriteLog(backend::Backend& device, backend::Backend& store, const Options& options,
                   const Superblock& superblock, Found found)
    : device_{device},
      superblocks_{device_},
      superblock_{superblock},
      contents_{std::move(found.contents)},
      ring_{sizes_of(superblock), superblock.tail, contents_.end()},
      pacer_{ring_},
      writer_{device_, contents_, ring_, pacer_, superblock_, found.epoch + 1, options.sabotage},
      reader_{device_, contents_, ring_, writer_, superblock_, options.sabotage},
      reaper_{device_, store,        contents_,   ring_,         pacer_,
              writer_, superblocks_, superblock_, options.order, options.sabotage},
      operations_{executor(), "the log's superblock to be written"} {
  if (!empty()) {
    contents_.wrote(contents_.tail().sequence, executor().now());
  }
}

WriteLog::~WriteLog() {
  BALLAST_ASSERT(closed_);
}

co::Task<Result<std::unique_ptr<WriteLog>>> WriteLog::open(backend::Backend& backend,
                                                           backend::Backend& store,
                                                           Options options) {
  BALLAST_ASSERT(&backend.executor() == &store.executor());
  Device device{backend};
  Superblocks superblocks{device};
  Result<Superblock> read = co_await superblocks.read();
  if (!read.ok()) {
    co_return read.error();
  }
  Superblock superblock = std::move(read).value();
  const Result<void> ours = check_identity(superblock, options.identity, device);
  if (!ours.ok()) {
    co_return ours.error();
  }
  Result<Found> found = co_await scan(device, superblock, options.sabotage);
  if (!found.ok()) {
    co_return found.error();
  }
  const Result<void> fits = check_store(superblock, found.value().contents.index(), store, device);
  if (!fits.ok()) {
    co_return fits.error();
  }
  // What was found may still be in the device's cache.
  IoStatus status = co_await device.flush();
  const Position end = found.value().contents.end();
  superblock.durable = end.sequence - 1;
  superblock.clean = false;
  ++superblock.incarnation;
  superblock.lun = options.identity.lun;
  superblock.host = options.host;
  superblock.store_name = options.store_name;
  if (ok(status)) {
    status = co_await superblocks.write(superblock);
  }
  if (!ok(status)) {
    co_return Error{EIO, fmt::format("{}: the log's superblock cannot be written ({})",
                                     device.name(), to_string(status))};
  }
  std::unique_ptr<WriteLog> log{
      new WriteLog{backend, store, options, superblock, std::move(found).value()}};
  log->superblocks_.go_on_from(superblocks);
  const char* lacks = log->writer_.lacks();
  lacks = lacks != nullptr ? lacks : log->reaper_.lacks();
  if (lacks != nullptr) {
    co_return Error{ENOMEM, fmt::format("{}: there is no {}", device.name(), lacks)};
  }
  log->writer_.start();
  log->reaper_.start();
  log->closed_ = false;
  co_return std::move(log);
}

const char* to_string(WriteLog::State state) {
  switch (state) {
    case WriteLog::State::working:
      return "working";
    case WriteLog::State::failing:
      return "failing";
    case WriteLog::State::retired:
      return "retired";
    case WriteLog::State::damaged:
      return "damaged";
  }
  return "unknown";
}

co::Task<IoStatus> WriteLog::drain() {
  const IoStatus status = co_await reaper_.drain();
  co_return status;
}

std::optional<Nanoseconds> WriteLog::time_to_drain() const {
  const std::optional<std::uint64_t> speed = pacer_.speed();
  if (!speed.has_value()) {
    return std::nullopt;
  }
  const double seconds = static_cast<double>(ring_.used()) / static_cast<double>(*speed + 1);
  return std::chrono::duration_cast<Nanoseconds>(std::chrono::duration<double>{seconds});
}

watch::LogView WriteLog::view() const {
  return {.state = to_string(state()),
          .device = {},
          .used = Bytes{ring_.used()},
          .size = Bytes{ring_.bytes()},
          .first = contents_.tail().sequence,
          .last = writer_.written(),
          .oldest = contents_.oldest(),
          .store_speed = pacer_.speed(),
          .epoch = writer_.epoch()};
}

co::Task<IoStatus> WriteLog::set_lun(Bytes size) {
  BALLAST_ASSERT(size.value() % superblock_.block == 0);
  const co::Gate::Guard inside{operations_};
  superblock_.lun = size;
  const IoStatus status = co_await superblocks_.write(superblock_);
  if (!ok(status)) {
    writer_.room_came();  // if the device failed, no block on its way counts as written any more
  }
  co_return status;
}

co::Task<void> WriteLog::close() {
  operations_.close();
  co_await operations_.drain();
  co_await reaper_.close();
  co_await reader_.close();
  co_await writer_.close();
  (void)co_await note_end();
  closed_ = true;
}

// Without memory the superblock stays as it was. The next opening then looks for the end itself.
co::Task<IoStatus> WriteLog::note_end() {
  IoStatus status = co_await device_.flush();
  if (ok(status)) {
    superblock_.durable = writer_.written();
    superblock_.clean = is_drained();
    status = co_await superblocks_.write(superblock_);
  }
  co_return status;
}

}  // namespace ballast::write_log
