// SPDX-License-Identifier: Apache-2.0
#include "lib/write_log/scan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>

#include "lib/base/assert.h"
#include "lib/base/values.h"
#include "lib/co/mutex.h"
#include "lib/co/task_group.h"
#include "lib/write_log/read_ahead.h"
#include "lib/write_log/ring.h"

namespace ballast::write_log {
namespace {

// Which blocks of the LUN the header's records change, as far as a sentence can say.
std::string ranges_of(const Header& header) {
  constexpr std::size_t most = 8;
  std::string text;
  for (const Record& record :
       header.all_records().first(std::min<std::size_t>(header.record_count, most))) {
    text +=
        fmt::format("{}{}+{}", text.empty() ? "" : ", ", record.lba.value(), record.blocks.value());
  }
  if (header.record_count > most) {
    text += fmt::format(" and {} more ranges", header.record_count - most);
  }
  return text.empty() ? "none" : text;
}

// Follows the blocks, in segments that follow() reads.
class Walk {
 public:
  Walk(std::string device, const Superblock& superblock, const Sabotage& sabotage)
      : device_{std::move(device)},
        superblock_{superblock},
        sabotage_{sabotage},
        sizes_{sizes_of(superblock)},
        contents_{superblock.block, superblock.tail},
        at_{superblock.tail.offset},
        durable_{superblock.durable} {}

  // Where the next block must be.
  std::uint64_t at() const { return at_; }
  // It may be at the beginning of the next segment instead.
  void pass_over() { at_ = Ring::next_segment(sizes_, at_); }
  // Whether the next block is there, and a part of its payload is not.
  bool is_torn() const { return !torn_.empty(); }

  // Adds the blocks that are at `at()` and behind it. `bytes`: from there to the segment's end.
  // Returns whether it came to the end.
  bool follow(std::span<const std::byte> bytes);
  // Notes what the pages say of the durability of others. `offset`: of the first.
  void look_for_claims(std::span<const std::byte> bytes, std::uint64_t offset);
  // Whether a block behind the end begins there.
  bool is_behind_end(ConstPage bytes, std::uint64_t offset) const;

  std::optional<Error> damage() const;
  Found take() && { return Found{std::move(contents_), epoch_}; }

 private:
  std::string place(std::uint64_t offset) const { return fmt::format("{} at {}", device_, offset); }
  std::optional<Header> header_at(ConstPage bytes, std::uint64_t offset) const;
  bool comes_next(const Header& header) const;

  const std::string device_;
  const Superblock& superblock_;
  const Sabotage sabotage_;
  const Sizes sizes_;
  Contents contents_;
  std::uint64_t at_;
  std::uint64_t durable_;  // the highest number that something calls durable
  bool is_newer_ = false;  // something is of a later incarnation than the superblock
  std::uint64_t incarnation_ = 0;
  std::uint64_t epoch_ = 0;
  std::string torn_;  // the ranges of the next block, if it is torn
};

std::optional<Header> Walk::header_at(ConstPage bytes, std::uint64_t offset) const {
  Result<Header> header = decode_header(bytes, sizes_, offset, place(offset));
  if (!header.ok() || header.value().log != superblock_.log ||
      header.value().owner != superblock_.owner) {
    return std::nullopt;
  }
  return std::move(header).value();
}

bool Walk::comes_next(const Header& header) const {
  const Position& expected = contents_.end();
  if (header.self.sequence != expected.sequence) {
    return false;
  }
  if (sabotage_.no_link) {
    return true;
  }
  const bool is_of_its_time = header.self.sequence > superblock_.durable
                                  ? header.incarnation == superblock_.incarnation
                                  : header.incarnation <= superblock_.incarnation;
  return header.self.link == expected.link && is_of_its_time && header.incarnation >= incarnation_;
}

bool Walk::follow(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ConstPage page_bytes = bytes.first<page>();
    std::optional<Header> header = header_at(page_bytes, at_);
    if (!header || !comes_next(*header)) {
      return false;
    }
    for (const Record& record : header->all_records()) {
      const std::uint64_t length = payload_of(record, sizes_.block);
      if (length > 0 && !is_payload(*header, record, bytes.subspan(record.payload, length))) {
        torn_ = ranges_of(*header);
        return false;
      }
    }
    if (sabotage_.no_link) {
      header->self.link = contents_.end().link;
    }
    durable_ = std::max(durable_, header->durable);
    incarnation_ = header->incarnation;
    epoch_ = std::max(epoch_, header->epoch);
    at_ = Ring::behind(sizes_, header->self.offset, header->length);
    contents_.add(*header, {.sequence = header->self.sequence + 1,
                            .offset = at_,
                            .link = checksum_of_header(page_bytes)});
    bytes = bytes.subspan(header->length);
  }
  return true;
}

void Walk::look_for_claims(std::span<const std::byte> bytes, std::uint64_t offset) {
  for (std::size_t at = 0; at < bytes.size(); at += sizes_.unit) {
    const std::optional<Header> header = header_at(ConstPage{bytes.subspan(at, page)}, offset + at);
    if (header) {
      durable_ = std::max(durable_, header->durable);
      is_newer_ = is_newer_ || header->incarnation > superblock_.incarnation;
    }
  }
}

bool Walk::is_behind_end(ConstPage bytes, std::uint64_t offset) const {
  const std::optional<Header> header = header_at(bytes, offset);
  return header && header->self.sequence > contents_.end().sequence;
}

std::optional<Error> Walk::damage() const {
  const Position& end = contents_.end();
  if (is_newer_) {
    return Error{EIO,
                 fmt::format("{}: the log is damaged: it has blocks of a later opening than its "
                             "superblock, so a newer superblock was lost. The LUN stays "
                             "closed, and nothing was changed; restore the log's device, or give "
                             "the log up (\"ballastctl log abandon\")",
                             device_)};
  }
  if (durable_ < end.sequence) {
    return std::nullopt;
  }
  const std::string what =
      is_torn()
          ? fmt::format("the data of block {} of the log is not what was written", end.sequence)
          : fmt::format("block {} of the log is not there", end.sequence);
  const std::string lost = is_torn()
                               ? fmt::format("It changed these blocks of the LUN: {}. ", torn_)
                               : "Which blocks of the LUN it changed is not known. ";
  const std::string others =
      durable_ > end.sequence
          ? fmt::format("The {} blocks of the log behind it cannot be used either. ",
                        durable_ - end.sequence)
          : "";
  return Error{
      EIO, fmt::format("{}: the log is damaged: {}, although blocks up to {} were durable. {}{}"
                       "The LUN stays closed, and nothing was changed; restore the log's device "
                       "or its cable, or give the log up (\"ballastctl log abandon\")",
                       place(is_torn() ? at_ : end.offset), what, durable_, lost, others)};
}

co::Task<IoStatus> follow(ReadAhead& ahead, Walk* walk) {
  bool goes_on = true;
  while (goes_on) {
    const IoStatus status = co_await ahead.next();
    if (!ok(status)) {
      co_return status;
    }
    BALLAST_ASSERT(ahead.offset() == walk->at());
    goes_on = walk->follow(ahead.bytes());
    if (!goes_on && !walk->is_torn() && !Ring::begins_segment(walk->at())) {
      // It ends here, unless the next block did not fit here.
      walk->look_for_claims(ahead.bytes().subspan(walk->at() - ahead.offset()), walk->at());
      walk->pass_over();
      goes_on = true;
    }
  }
  co_return IoStatus::ok;
}

// What is behind the end, and may say that the end is none.
class Rest {
 public:
  // `segment`: memory for one.
  Rest(Device& device, const Sizes& sizes, Walk& walk, std::span<std::byte> segment)
      : device_{device},
        sizes_{sizes},
        walk_{walk},
        pages_{io::make_page_memory(lanes * page)},
        segment_{segment},
        reading_segment_{device.executor(), "memory for a segment of the log"} {}
  co::Executor& executor() { return device_.executor(); }
  bool works() const { return pages_ != nullptr; }

  co::Task<IoStatus> look();

 private:
  static constexpr std::size_t lanes = 32;

  std::uint64_t offset_of(std::uint32_t n) const {
    return ring_begin + (first_ + n) % sizes_.segments * segment_bytes;
  }
  co::Task<IoStatus> look_at_segment(std::uint64_t offset);
  co::Task<void> look_at_pages(std::size_t lane);
  co::Task<IoStatus> look_at_page(std::span<std::byte> bytes, std::uint64_t offset);

  Device& device_;
  const Sizes sizes_;
  Walk& walk_;
  const Memory pages_;                  // one for each lane
  const std::span<std::byte> segment_;  // for one lane at a time
  co::Mutex reading_segment_;
  std::uint64_t first_ = 0;  // where the log ends
  std::uint32_t next_ = 0;   // counted from there
  IoStatus status_ = IoStatus::ok;
};

co::Task<IoStatus> Rest::look() {
  first_ = Ring::segment_of(walk_.at());
  while (next_ < 2 && ok(status_)) {
    status_ = co_await look_at_segment(offset_of(next_++));
  }
  co::TaskGroup reads{executor()};
  for (std::size_t lane = 0; lane < lanes; ++lane) {
    reads.spawn("the log's first pages", look_at_pages(lane));
  }
  co_await reads.join();
  co_return status_;
}

co::Task<IoStatus> Rest::look_at_segment(std::uint64_t offset) {
  const co::Mutex::Guard alone = co_await reading_segment_.lock();
  const IoStatus status = co_await device_.read(offset, segment_);
  if (ok(status)) {
    walk_.look_for_claims(segment_, offset);
  }
  co_return status;
}

co::Task<void> Rest::look_at_pages(std::size_t lane) {
  const std::span<std::byte> bytes{pages_.get() + lane * page, page};
  while (next_ < sizes_.segments && ok(status_)) {
    const IoStatus status = co_await look_at_page(bytes, offset_of(next_++));
    if (!ok(status)) {
      status_ = status;
    }
  }
}

co::Task<IoStatus> Rest::look_at_page(std::span<std::byte> bytes, std::uint64_t offset) {
  IoStatus status = co_await device_.read(offset, bytes);
  if (ok(status)) {
    walk_.look_for_claims(bytes, offset);
  }
  if (ok(status) && walk_.is_behind_end(ConstPage{bytes}, offset)) {
    status = co_await look_at_segment(offset);
  }
  co_return status;
}

}  // namespace

Result<void> check_identity(const Superblock& superblock, const Identity& identity,
                            const Device& device) {
  const auto refuse = [&](const std::string& why) {
    return Error{EINVAL, fmt::format("{}: {}; nothing was changed", device.name(), why)};
  };
  const Sizes sizes = sizes_of(superblock);
  if (identity.log && superblock.log != *identity.log) {
    return refuse("the LUN's store names another log than this one");
  }
  if (superblock.store != identity.store) {
    return refuse(fmt::format("this is the log of another store, which was called {} on {}",
                              superblock.store_name, superblock.host));
  }
  if (superblock.owner != identity.owner) {
    return refuse(
        fmt::format("the log belongs to owner {} of the store, and the store has owner {} now: "
                    "somebody gave this log up, and the store may have newer data",
                    superblock.owner, identity.owner));
  }
  if (superblock.block != identity.block) {
    return refuse(
        fmt::format("the log was made for a LUN in blocks of {} bytes, and this LUN has "
                    "blocks of {}",
                    superblock.block, identity.block));
  }
  if (identity.size != Bytes{} && segments_in(identity.size) != superblock.segments) {
    return refuse(fmt::format(
        "the log has {} segments of 4 MiB, and log_size={} makes {}: set "
        "log_size={}",
        superblock.segments, config::format_bytes(identity.size), segments_in(identity.size),
        config::format_bytes(Bytes{(superblock.segments + 1) * segment_bytes})));
  }
  if (sizes.ring_end() > device.size().value()) {
    return refuse(fmt::format("the log is {} bytes long, and the device has only {}",
                              sizes.ring_end(), device.size().value()));
  }
  if (device.physical_block() > sizes.unit) {
    return refuse(fmt::format(
        "the log was made for a device that writes {} bytes at once, and this one "
        "writes {}: write what the log has to the store (\"ballastctl log drain\"), and "
        "make the log anew",
        sizes.unit, device.physical_block()));
  }
  return {};
}

Result<void> check_store(const Superblock& superblock, const Index& index,
                         const backend::Backend& store, const Device& device) {
  const std::uint64_t size = store.geometry().size.value();
  const std::uint64_t blocks = size / superblock.block;
  if (index.end().value() <= blocks) {
    return {};
  }
  return Error{
      EINVAL,
      fmt::format(
          "{}: the log has changes of the LUN's blocks up to {}, and the store, {}, ends "
          "before block {}: when it had the log, the LUN had {} bytes, and the store has {} "
          "now; nothing was changed. Make the store as large again until the log is empty, "
          "or give the log up (\"ballastctl log abandon\")",
          device.name(), index.end().value() - 1, store.description(), blocks,
          superblock.lun.value(), size)};
}

co::Task<Result<Found>> scan(Device& device, Superblock superblock, Sabotage sabotage) {
  const Sizes sizes = sizes_of(superblock);
  Walk walk{device.name(), superblock, sabotage};
  ReadAhead ahead{device, sizes, walk.at()};
  Rest rest{device, sizes, walk, ahead.memory()};
  if (!rest.works() || !ahead.works()) {
    co_return Error{ENOMEM, fmt::format("{}: no memory to read the log", device.name())};
  }
  IoStatus status = co_await follow(ahead, &walk);
  co_await ahead.stop();
  if (ok(status)) {
    status = co_await rest.look();
  }
  if (!ok(status)) {
    co_return Error{EIO, fmt::format("{}: the log cannot be read", device.name())};
  }
  std::optional<Error> damage = walk.damage();
  if (damage) {
    co_return std::move(*damage);
  }
  co_return std::move(walk).take();
}

}  // namespace ballast::write_log
