// SPDX-License-Identifier: Apache-2.0
#include "lib/write_log/read_ahead.h"

#include <algorithm>

#include "lib/write_log/ring.h"

namespace ballast::write_log {

ReadAhead::ReadAhead(Device& device, const Sizes& sizes, std::uint64_t begin)
    : device_{device},
      sizes_{sizes},
      offset_{begin},
      ended_{device.executor(), "a segment of the log to be read"},
      reads_{device.executor()} {
  for (Slot& slot : slots_) {
    slot.memory = io::make_page_memory(segment_bytes);
  }
}

bool ReadAhead::works() const {
  return std::ranges::all_of(slots_, [](const Slot& slot) { return slot.memory != nullptr; });
}

void ReadAhead::begin_read() {
  Slot& slot = slots_[begun_++ % depth];
  slot.offset = offset_;
  slot.bytes = {slot.memory.get(), Ring::end_of_segment(offset_) - offset_};
  slot.status.reset();
  offset_ = Ring::next_segment(sizes_, offset_);
  reads_.spawn("a segment of the log", read(&slot));
}

co::Task<void> ReadAhead::read(Slot* slot) {
  slot->status = co_await device_.read(slot->offset, slot->bytes);
  ended_.set();
  ended_.reset();
}

co::Task<IoStatus> ReadAhead::next() {
  ++taken_;
  const std::uint64_t ahead = taken_ <= 2 ? 0 : std::min<std::uint64_t>(taken_ - 2, depth - 1);
  while (begun_ < taken_ + ahead) {
    begin_read();
  }
  const Slot& slot = current();
  while (!slot.status) {
    co_await ended_.wait();
  }
  co_return *slot.status;
}

co::Task<void> ReadAhead::stop() {
  co_await reads_.join();
}

}  // namespace ballast::write_log
