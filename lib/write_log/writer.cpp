// SPDX-License-Identifier: Apache-2.0
#include "lib/write_log/writer.h"

#include <algorithm>
#include <limits>
#include <new>

#include "lib/base/crc32c.h"
#include "lib/base/round_up.h"
#include "lib/co/sleep.h"

namespace ballast::write_log {
namespace {

// One, and at the beginning another one.
constexpr std::size_t seals_at_once = 2;

std::size_t segments_of(io::SgView view) {
  std::size_t count = 0;
  view.for_each([&count](std::span<std::byte>) { return ++count > 0; });
  return count;
}

void pulse(co::Event& event) {
  event.set();
  event.reset();
}

}  // namespace

Writer::Writer(Device& device, Contents& contents, Ring& ring, Pacer& pacer,
               const Superblock& superblock, std::uint64_t epoch, const Sabotage& sabotage)
    : device_{device},
      executor_{device.executor()},
      contents_{contents},
      ring_{ring},
      pacer_{pacer},
      sizes_{ring.sizes()},
      sabotage_{sabotage},
      epoch_{epoch},
      zeros_{make_zeros(sizes_.unit)},
      pace_{executor_, "the store to keep up with the log"},
      turn_{executor_, 1, "its turn for the open block of the log"},
      closed_{executor_, "room in the open block of the log"},
      retired_{contents.end().sequence - 1},
      written_{executor_, "the log's block to be written", retired_},
      durable_{executor_, "the log's block to be durable", retired_},
      wanted_{retired_},
      wants_{executor_, "a wish for durable blocks of the log"},
      newest_records_{retired_},
      claimed_{retired_},
      unsealed_{executor_, "blocks of the log that no seal covers"},
      operations_{executor_, "the last operation of the log"},
      tasks_{executor_} {
  for (Slot& slot : slots_) {
    slot.page = io::make_page_memory(page);
    slot.segments.reserve(most_segments + 2);
    slot.header.incarnation = superblock.incarnation;
    slot.header.log = superblock.log;
    slot.header.owner = superblock.owner;
  }
  contents_.reserve(0, seals_at_once);
}

const char* Writer::lacks() const {
  const bool whole = zeros_ != nullptr && std::ranges::all_of(slots_, [](const Slot& slot) {
                       return slot.page != nullptr;
                     });
  return whole ? nullptr : "memory for the blocks of the log";
}

// In the middle of a segment there may be a block of an earlier incarnation that nobody has found.
// The first block of this one is a seal, which always fits there. So it covers that block, and what
// comes next in this place is never in doubt.
void Writer::start() {
  last_activity_ = executor_.now();
  if (!Ring::begins_segment(ring_.next().offset)) {
    seal_due_ = true;
    const std::uint64_t number = close_open();
    BALLAST_ASSERT(number != 0);
    tasks_.spawn("the log's first block", write_block(number));
  }
  tasks_.spawn("the log's flusher", flush_when_wanted());
  tasks_.spawn("the log's sealer", seal_when_quiet());
}

// --- the open block ------------------------------------------------------------------------------

// Takes the next piece off a change: as much as one block can have.
Change Writer::cut(Change* rest) const {
  Change piece = *rest;
  if (piece.kind != Kind::data) {
    const BlockCount most{std::numeric_limits<std::uint32_t>::max()};
    piece.blocks = std::min(piece.blocks, most);
  } else {
    const BlockCount most{(longest_block - page) / sizes_.block};
    piece.blocks = std::min(piece.blocks, most);
    piece.data = rest->data.slice(0, bytes_of(piece.blocks));
    while (segments_of(piece.data) > most_segments) {
      piece.blocks = BlockCount{piece.blocks.value() / 2};
      piece.data = rest->data.slice(0, bytes_of(piece.blocks));
    }
    rest->data = rest->data.slice(piece.data.size(), rest->data.size() - piece.data.size());
  }
  rest->lba = rest->lba + piece.blocks;
  rest->blocks -= piece.blocks;
  return piece;
}

bool Writer::fits(const Entry& entry) const {
  return open_.size() < most_records &&
         page + open_bytes_ + entry.change.data.size() <= longest_block &&
         open_segments_ + entry.segments <= most_segments;
}

bool Writer::has_memory() {
  try {
    contents_.reserve(unindexed_ + 1, unindexed_ + 1 + seals_at_once);
    return true;
  } catch (const std::bad_alloc&) {
    return false;
  }
}

void Writer::enter(Entry& entry) {
  ++unindexed_;
  open_.push_back(entry);
  open_bytes_ += entry.change.data.size();
  open_segments_ += entry.segments;
  last_activity_ = executor_.now();
}

void Writer::leave(Entry& entry) {
  --unindexed_;
  open_.remove(entry);
  open_bytes_ -= entry.change.data.size();
  open_segments_ -= entry.segments;
  pulse(closed_);  // there is more room in it
  pulse(pace_);    // and perhaps nobody whom the pacer holds up
}

std::uint64_t Writer::open_length() const {
  return round_up(page + open_bytes_, sizes_.unit);
}

co::Task<IoStatus> Writer::append(Change change, Until until, co::CancelToken cancel) {
  BALLAST_ASSERT(change.blocks.value() > 0);
  BALLAST_ASSERT(change.data.size() == (change.kind == Kind::data ? bytes_of(change.blocks) : 0));
  const co::Gate::Guard inside{operations_};
  std::uint64_t number = 0;  // the newest block that has a part of it
  bool whole = false;        // all of it is in blocks that have closed
  IoStatus status = IoStatus::ok;
  while (ok(status) && !whole) {
    Entry entry{cut(&change)};
    entry.segments = segments_of(entry.change.data);
    entry.durable = until == Until::durable;
    const bool last = change.blocks.value() == 0;
    {
      const co::Semaphore::Guard turn = co_await turn_.acquire_until(1, co::Timers::never, cancel);
      bool goes_on = static_cast<bool>(turn);
      while (goes_on && ok(failure_) && !fits(entry)) {
        full_ = true;
        kick();
        goes_on = co_await closed_.wait(cancel);
      }
      status = goes_on ? failure_ : IoStatus::cancelled;
      if (ok(status) && !has_memory()) {
        status = IoStatus::no_resource;
      }
      if (!ok(status)) {
        break;
      }
      enter(entry);
    }
    full_ = full_ || !last;
    kick();
    if (last) {
      status = co_await written_.reached(ring_.next().sequence, cancel);
    }
    while (ok(status) && entry.number == 0) {
      const bool goes_on = co_await closed_.wait(cancel);
      status = goes_on ? failure_ : IoStatus::cancelled;
    }
    if (entry.linked()) {
      leave(entry);
      break;
    }
    number = entry.number;
    whole = last;
    if (!last) {
      status = IoStatus::ok;  // what has closed goes on; the next piece asks again
    }
  }
  if (sabotage_.cancel_after_close && status == IoStatus::cancelled) {
    co_return status;
  }
  if (!ok(status) && number != 0) {
    // The blocks that are on their way have the caller's data.
    const IoStatus its = co_await written_.reached(number);
    status = whole || !ok(its) ? its : IoStatus::medium_error;
  }
  if (ok(status) && until == Until::durable) {
    status = co_await make_durable(number);
  }
  co_return status;
}

// --- a block's way ------------------------------------------------------------------------------

bool Writer::is_time() const {
  if (!ok(failure_) || !slot_of(ring_.next().sequence).ended) {
    return false;
  }
  if (open_.empty()) {
    return seal_due_ && ring_.place(sizes_.unit).has_value();
  }
  const bool enough = full_ || open_.size() >= enough_records || on_their_way() == 0;
  return enough && ring_.place(open_length()).has_value();
}

// The task runs behind everything that is ready now, so that all changes of this turn get into the
// block.
void Writer::kick() {
  if (!starting_ && is_time()) {
    starting_ = true;
    tasks_.spawn("a block of the log", write_block(0));
  }
}

void Writer::room_came() {
  if (!ok(device_.failure())) {
    fail(device_.failure());  // a superblock's: no room comes any more
    return;
  }
  pulse(pace_);
  kick();
}

// Seals are not paced.
co::Task<void> Writer::wait_for_pace() {
  while (!open_.empty() && ok(failure_)) {
    const TimePoint at = pacer_.next(executor_.now());
    if (at <= executor_.now()) {
      co_return;
    }
    (void)co_await pace_.wait_until(at);
  }
}

co::Task<void> Writer::write_block(std::uint64_t number) {
  if (number == 0) {
    co_await wait_for_pace();
    starting_ = false;
    number = is_time() ? close_open() : 0;
  }
  if (number == 0) {
    co_return;
  }
  const std::span<const iovec> segments = slot_of(number).segments;
  const std::uint64_t offset = slot_of(number).header.self.offset;
  const io::SgView view{segments};
  const IoStatus status = co_await device_.write(offset, view);
  has_ended(number, status);
  kick();
}

std::uint64_t Writer::close_open() {
  const std::uint64_t length = open_length();
  const std::optional<std::uint64_t> offset = ring_.place(length);
  if (!offset) {
    return 0;
  }
  const std::uint64_t number = ring_.next().sequence;
  Slot& slot = slot_of(number);
  BALLAST_ASSERT(slot.ended);  // the block of four numbers ago has been written
  slot.ended = false;
  slot.payload_end = page;
  slot.segments.clear();
  slot.segments.push_back({.iov_base = slot.page.get(), .iov_len = page});
  slot.header.record_count = 0;
  slot.header.checksum_count = 0;
  slot.header.self = {.sequence = number, .offset = *offset, .link = ring_.next().link};
  slot.header.epoch = epoch_;
  slot.header.length = static_cast<std::uint32_t>(length);
  slot.header.durable = durable_.mark();
  slot.header.tail = ring_.tail().sequence;
  claimed_ = slot.header.durable;
  if (!open_.empty()) {
    newest_records_ = number;
    unsealed_.set();
  }
  const std::uint64_t padding = length - page - open_bytes_;
  while (Entry* const entry = open_.pop_front()) {
    put(slot, *entry);
  }
  if (padding > 0) {
    slot.segments.push_back({.iov_base = zeros_.get(), .iov_len = padding});
  }
  const std::uint32_t link = encode(slot.header, sizes_, Page{slot.page.get(), page});
  ring_.took(*offset, length, link);
  pacer_.took(length, executor_.now());
  slot.next = ring_.next();
  open_bytes_ = 0;
  open_segments_ = 0;
  full_ = false;
  seal_due_ = false;
  ++unended_;
  if (sabotage_.index_at_issue) {
    contents_.add(slot.header, slot.next);
  }
  pulse(closed_);
  return number;
}

// Writes down the change as the block's next record. From here on the entry is on its own.
void Writer::put(Slot& slot, Entry& entry) {
  Header& header = slot.header;
  const Change& change = entry.change;
  entry.number = header.self.sequence;
  Record& record = header.records[header.record_count++];
  record = {.lba = change.lba, .blocks = change.blocks, .kind = change.kind};
  if (entry.durable) {
    want(entry.number);
  }
  if (change.data.empty()) {
    return;
  }
  record.payload = slot.payload_end;
  slot.payload_end += static_cast<std::uint32_t>(change.data.size());
  record.first_checksum = header.checksum_count;
  std::uint32_t crc = 0;
  std::size_t in_page = 0;
  change.data.for_each([&](std::span<std::byte> piece) {
    slot.segments.push_back({.iov_base = piece.data(), .iov_len = piece.size()});
    while (!piece.empty()) {
      const std::size_t length = std::min(piece.size(), page - in_page);
      crc = crc32c(piece.first(length), crc);
      in_page += length;
      piece = piece.subspan(length);
      if (in_page == page) {
        header.checksums[header.checksum_count++] = crc;
        crc = 0;
        in_page = 0;
      }
    }
    return true;
  });
  if (in_page > 0) {
    header.checksums[header.checksum_count++] = crc;
  }
}

// `written` moves over the blocks whose writes have ended, up to the first whose write has not.
void Writer::has_ended(std::uint64_t number, IoStatus status) {
  slot_of(number).ended = true;
  --unended_;
  last_activity_ = executor_.now();
  if (!ok(status)) {
    fail(status);
  }
  const std::uint64_t unchained = sabotage_.durable_without_chain ? number : 0;
  while (ok(failure_) && retired_ + 1 < ring_.next().sequence &&
         (slot_of(retired_ + 1).ended || retired_ < unchained)) {
    ++retired_;
    const Slot& slot = slot_of(retired_);
    if (!sabotage_.index_at_issue) {
      contents_.add(slot.header, slot.next);
    }
    unindexed_ -= slot.header.record_count;
    contents_.wrote(retired_, last_activity_);
  }
  if (ok(failure_)) {
    written_.advance(retired_);
  } else if (unended_ == 0) {
    written_.fail(failure_);
  }
}

// Nobody hears of it who may still have data in a block on its way.
void Writer::fail(IoStatus status) {
  if (ok(failure_)) {
    failure_ = status;
  }
  pulse(closed_);
  pulse(pace_);
  if (unended_ == 0) {
    written_.fail(failure_);
  }
}

// --- durable -------------------------------------------------------------------------------------

void Writer::want(std::uint64_t number) {
  wanted_ = std::max(wanted_, number);
  if (wanted_ > durable_.mark()) {
    wants_.set();
  }
}

co::Task<IoStatus> Writer::make_durable(std::uint64_t number) {
  want(number);
  const IoStatus status = co_await durable_.reached(number);
  co_return status;
}

co::Task<IoStatus> Writer::flush() {
  const co::Gate::Guard inside{operations_};
  const IoStatus status = co_await make_durable(written_.mark());
  co_return status;
}

co::Task<void> Writer::flush_when_wanted() {
  while (true) {
    while (wanted_ <= durable_.mark()) {
      wants_.reset();
      const bool goes_on = co_await wants_.wait(stop_.token());
      if (!goes_on) {
        co_return;
      }
    }
    IoStatus status = co_await written_.reached(wanted_);
    if (!ok(status)) {
      wanted_ = std::min(wanted_, written_.mark());
      continue;
    }
    std::uint64_t target = written_.mark();
    status = co_await device_.flush();
    if (!ok(status)) {
      durable_.fail(status);
      fail(status);
      co_return;
    }
    if (sabotage_.flush_of_wrong_target) {
      target = written_.mark();
    }
    durable_.advance(target);
    ++epoch_;
  }
}

bool Writer::is_quiet() const {
  return open_.empty() && on_their_way() == 0 && executor_.now() - last_activity_ >= quiet;
}

co::Task<void> Writer::seal_when_quiet() {
  while (ok(failure_) && !stop_.requested()) {
    if (newest_records_ <= claimed_) {
      unsealed_.reset();
      (void)co_await unsealed_.wait(stop_.token());
      continue;
    }
    IoStatus status = is_quiet() ? IoStatus::ok : IoStatus::no_resource;
    if (ok(status)) {
      status = co_await make_durable(newest_records_);
    }
    const bool seals = ok(status) && is_quiet();
    if (seals) {
      seal_due_ = true;
      kick();
    }
    if (seals && starting_) {
      const std::uint64_t number = ring_.next().sequence;
      status = co_await written_.reached(number, stop_.token());
      if (ok(status) && !stop_.requested()) {  // else the flusher may have ended
        (void)co_await make_durable(number);
      }
    } else {
      (void)co_await co::sleep_for(executor_, quiet, stop_.token());
    }
  }
}

co::Task<void> Writer::close() {
  operations_.close();
  co_await operations_.drain();
  stop_.request();
  co_await tasks_.join();
}

}  // namespace ballast::write_log
