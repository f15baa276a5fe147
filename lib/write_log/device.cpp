// SPDX-License-Identifier: Apache-2.0
#include "lib/write_log/device.h"

#include <algorithm>
#include <cstring>

#include "lib/base/log.h"
#include "lib/co/sleep.h"

namespace ballast::write_log {
namespace {

constexpr int most_tries = 6;
constexpr Nanoseconds first_wait = std::chrono::milliseconds{10};  // then twice as long each time

}  // namespace

Memory make_zeros(std::size_t bytes) {
  Memory memory = io::make_page_memory(bytes);
  if (memory != nullptr) {
    std::memset(memory.get(), 0, bytes);
  }
  return memory;
}

co::Task<IoStatus> Device::run(Verb verb, std::uint64_t offset, io::SgView view) {
  IoStatus status = IoStatus::no_resource;
  Nanoseconds wait = first_wait;
  for (int tries = 1;; ++tries) {
    switch (verb) {
      case Verb::read:
        status = co_await backend_.read(Bytes{offset}, view);
        break;
      case Verb::write:
        status = co_await backend_.write(Bytes{offset}, view, backend::Fua::no);
        break;
      case Verb::flush:
        status = co_await backend_.flush();
        break;
    }
    if (status != IoStatus::no_resource || tries == most_tries) {
      // Nobody asked it to stop, so this can only be a failure.
      co_return status == IoStatus::cancelled ? IoStatus::medium_error : status;
    }
    co_await co::sleep_for(executor_, wait);
    wait *= 2;
  }
}

IoStatus Device::note(const char* what, std::uint64_t offset, IoStatus status) {
  if (!ok(status) && ok(failure_)) {
    failure_ = status;
    log(LogLevel::error,
        "the write log {}: a {} at offset {} failed ({}); nothing more is written to it", name(),
        what, offset, to_string(status));
    if (call_ != nullptr) {
      call_(argument_);
    }
  }
  return status;
}

co::Task<IoStatus> Device::read(std::uint64_t offset, std::span<std::byte> to) {
  const iovec segment{to.data(), to.size()};
  const std::span<const iovec> segments{&segment, 1};
  const IoStatus status = co_await run(Verb::read, offset, io::SgView{segments});
  if (!ok(status)) {
    if (const auto left_out = read_lines_.next_in_words(executor_.now())) {
      log(LogLevel::error, "the write log {}: {} bytes at offset {} cannot be read ({}){}", name(),
          to.size(), offset, to_string(status), *left_out);
    }
  }
  co_return status;
}

co::Task<IoStatus> Device::write(std::uint64_t offset, io::SgView from) {
  if (!ok(failure_)) {
    co_return failure_;
  }
  const IoStatus status = co_await run(Verb::write, offset, from);
  co_return note("write", offset, status);
}

co::Task<IoStatus> Device::write(std::uint64_t offset, std::span<std::byte> from) {
  const iovec segment{from.data(), from.size()};
  const std::span<const iovec> segments{&segment, 1};
  const IoStatus status = co_await write(offset, io::SgView{segments});
  co_return status;
}

co::Task<IoStatus> Device::flush() {
  const co::Mutex::Guard alone = co_await flushing_.lock();
  if (!ok(failure_)) {
    co_return failure_;
  }
  if (!backend_.capabilities().volatile_cache) {
    co_return IoStatus::ok;
  }
  const IoStatus status = co_await run(Verb::flush, 0, io::SgView{});
  co_return note("flush", 0, status);
}

}  // namespace ballast::write_log
