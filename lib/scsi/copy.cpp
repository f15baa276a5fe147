// SPDX-License-Identifier: Apache-2.0
// Third-party copy (SPC-4, 5.17): EXTENDED COPY (LID1) to this LUN, from it or from another one,
// and what it is limited to.
//
// The copy is made of reads and writes of the volume with the command's request, one after the
// other, so fences, deadlines and orphans treat it like any other change. The command is answered
// when the copy has ended. So no copy goes on behind an answer but the one operation that the
// backend cannot end, and there is no status to be kept for a later command.
#include <algorithm>
#include <utility>

#include "lib/scsi/cdb.h"
#include "lib/scsi/copy_list.h"
#include "lib/scsi/disk.h"

namespace ballast::scsi {
namespace {

// While the request waits for another LUN. What ends there was there until it is answered.
class AtSource {
 public:
  explicit AtSource(volume::Request& request) : observer_{request.observer()} {
    if (observer_ != nullptr) {
      observer_->entered_source();
    }
  }
  void leave() {
    if (observer_ != nullptr) {
      observer_->left_source();
    }
  }

 private:
  volume::RequestObserver* const observer_;
};

}  // namespace

Disk::Copy Disk::read_copy(const Command& command) const {
  std::array<std::uint8_t, longest_copy_list> bytes;
  const std::size_t given = std::min<std::size_t>(be32(command.cdb, 10), command.data.size());
  const std::span<std::uint8_t> list = std::span{bytes}.first(std::min(given, bytes.size()));
  io::copy(std::as_writable_bytes(list), command.data.slice(0, list.size()));
  const CopyLun own{.naa = naa_of(config_.unit_serial),
                    .logical_block = volume_.logical_block(),
                    .capacity = volume_.capacity()};
  Copy copy;
  const std::optional<Naa> other = other_lun(own.naa, list);
  if (other.has_value() && config_.copy_sources != nullptr) {
    copy.source = config_.copy_sources->find(*other);
  }
  const CopyLun unit = copy.source != nullptr ? copy.source->unit() : CopyLun{};
  copy.list = read_copy_list(own, copy.source != nullptr ? &unit : nullptr, list);
  return copy;
}

Bytes Disk::copied_bytes(const Command& command, const Operation& operation) const {
  Bytes total{};
  if (operation.suspending == &Disk::extended_copy) {
    const CopyList list = read_copy(command).list;
    for (std::size_t i = 0; i < list.count; ++i) {
      const Bytes length = bytes_of(list.segments[i].count);
      total = total + length + length;
    }
  }
  return total;
}

// LIST ID, STR and PRIORITY make no difference here.
co::Task<Status> Disk::extended_copy(Command& command) {
  const std::size_t length = be32(command.cdb, 10);
  if (length == 0) {
    co_return Status::good;
  }
  if (command.data.size() < length) {
    co_return fail(command, illegal_request(asc::invalid_field_in_command_information_unit));
  }
  const auto [list, source] = read_copy(command);
  if (list.count == 0) {
    co_return list.error.has_value() ? fail(command, *list.error) : Status::good;
  }
  volume::Request& request = request_of(command);
  const bool from_source =
      std::ranges::any_of(std::span{list.segments}.first(list.count),
                          [](const CopySegment& segment) { return segment.from_source; });
  co::Semaphore::Guard slot = co_await copy_slot(request, from_source);
  if (!slot) {
    co_return Status::busy;
  }
  const io::ScratchPool::Buffer buffer{from_source ? source_buffers_ : copy_buffers_,
                                       std::move(slot)};
  if (!buffer) {
    co_return Status::task_set_full;
  }
  command.transferred = length;
  const std::uint64_t mark = volume_.flush_mark();
  const std::uint64_t most = volume_.blocks_in(Bytes{buffer.bytes().size()}).value();
  for (std::size_t i = 0; i < list.count; ++i) {
    const CopySegment& segment = list.segments[i];
    std::uint64_t done = 0;
    while (done < segment.count.value()) {
      const BlockCount piece{std::min(most, segment.count.value() - done)};
      const BlockCount before{done};
      const std::span<std::byte> bytes = buffer.bytes().first(bytes_of(piece).value());
      const iovec memory{bytes.data(), bytes.size()};
      const io::SgView data{std::span{&memory, 1}};
      IoStatus read = IoStatus::ok;
      if (segment.from_source) {
        read = co_await read_source(request, *source, segment.from + before, bytes);
      } else {
        read = co_await volume_.read(request, segment.from + before, data);
      }
      if (!ok(read)) {
        co_return segment.from_source ? end_copy_at_source(command, read, i)
                                      : end_copy(command, read, i, false);
      }
      const IoStatus written =
          co_await volume_.write(request, segment.to + before, data, backend::Fua::no);
      if (!ok(written)) {
        co_return end_copy(command, written, i, true);
      }
      done += piece.value();
    }
  }
  const IoStatus status = co_await settle(command, IoStatus::ok, mark);
  if (!ok(status)) {
    co_return finish(command, status, list.segments[0].to, true);
  }
  co_return list.error.has_value() ? fail(command, *list.error) : Status::good;
}

// Who waits for a buffer, waits for the copies that have them, and so for the other LUN.
co::Task<co::Semaphore::Guard> Disk::copy_slot(volume::Request& request, bool from_source) {
  if (!from_source) {
    co::Semaphore::Guard slot = co_await copy_buffers_.slot(request.token());
    co_return std::move(slot);
  }
  AtSource here{request};
  co::Semaphore::Guard slot = co_await source_buffers_.slot(request.token());
  if (slot) {
    here.leave();
  }
  co_return std::move(slot);
}

co::Task<IoStatus> Disk::read_source(volume::Request& request, CopySource& source, Lba lba,
                                     std::span<std::byte> to) {
  AtSource here{request};
  const IoStatus status = co_await source.read(executor_, request.token(), lba, to);
  if (ok(status)) {
    here.leave();
  }
  co_return status;
}

// What is wrong with the other LUN is not said as if it were this one.
Status Disk::end_copy_at_source(Command& command, IoStatus status, std::size_t segment) {
  if (status == IoStatus::cancelled || status == IoStatus::no_resource) {
    return Status::busy;  // this LUN's task set is not full
  }
  return fail(command,
              copy_aborted(status == IoStatus::medium_error ? asc::third_party_device_failure
                                                            : asc::copy_target_device_not_reachable,
                           segment));
}

// A bad block ends the copy, and it says in which segment. All else is said as to any command.
Status Disk::end_copy(Command& command, IoStatus status, std::size_t segment, bool writes) {
  const Status ended = finish(command, status, Lba{0}, writes);
  return status == IoStatus::medium_error
             ? fail(command, copy_aborted(asc::third_party_device_failure, segment))
             : ended;
}

Status Disk::receive_copy_operating_parameters(Command& command) {
  std::array<std::uint8_t, copy_parameters_length> data;
  write_copy_parameters(volume_.logical_block(), io::ScratchPool::buffer_count, data);
  return reply(command, data, be32(command.cdb, 10));
}

}  // namespace ballast::scsi
