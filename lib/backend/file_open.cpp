// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/file_open.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <optional>
#include <string_view>
#include <utility>

#include "lib/backend/file_label.h"
#include "lib/backend/file_probe.h"
#include "lib/base/log.h"
#include "lib/base/round_up.h"
#include "lib/base/values.h"

namespace ballast::backend {
namespace {

using config::format_bytes;

template <class... Args>
Error error(int errno_value, fmt::format_string<Args...> format, Args&&... args) {
  return Error{errno_value, fmt::format(format, std::forward<Args>(args)...)};
}

Result<void> check_size(const FileConfig& config, bool block_device, Bytes has, Bytes wants) {
  if (has >= wants) {
    return {};
  }
  if (block_device) {
    return error(EFBIG,
                 "block device {} has {} but the LUN was created with size={}: create it "
                 "with size={} or less, or grow the device",
                 config.path, format_bytes(has), format_bytes(wants), has.value());
  }
  if (has == Bytes{}) {
    return error(EFBIG,
                 "backing file {} is empty but the LUN was created with size={}: restore it; or, "
                 "to begin with an empty disk, truncate -s {} {}",
                 config.path, format_bytes(wants), wants.value(), config.path);
  }
  return error(EFBIG,
               "backing file {} has {} but the LUN was created with size={}: create the LUN "
               "with size={} or less, or grow the file with truncate -s {} {}",
               config.path, format_bytes(has), format_bytes(wants), has.value(), wants.value(),
               config.path);
}

// The format of an image whose first bytes these are; null: none that is known.
const char* image_format(std::string_view head) {
  struct Magic {
    std::string_view bytes;
    const char* format;
  };
  constexpr Magic magics[] = {{"QFI\xfb", "qcow2"}, {"KDMV", "VMDK"}, {"vhdxfile", "VHDX"}};
  for (const Magic& magic : magics) {
    if (head.starts_with(magic.bytes)) {
      return magic.format;
    }
  }
  return nullptr;
}

// Other targets know such formats (tcmu-runner's user:qcow), so somebody may expect it here.
void warn_of_image(const FileConfig& config, int fd) {
  alignas(4096) std::array<char, 4096> head{};
  const ssize_t got = ::pread(fd, head.data(), head.size(), 0);
  const char* const format =
      image_format(std::string_view{head.data(), got < 0 ? 0 : static_cast<std::size_t>(got)});
  if (format != nullptr) {
    log(LogLevel::warning,
        "{} begins as a {} image does. Ballast serves the bytes of the file, not the disk in it: "
        "to have that disk, convert the image (qemu-img convert -O raw) and use the new file",
        config.path, format);
  }
}

// Checks whether the LUN's blocks suit the alignment that the probe found.
Result<void> check_block(const FileConfig& config, const FileTraits& traits, Bytes logical_block) {
  if (traits.offset_alignment <= logical_block.value()) {
    return {};
  }
  return error(EINVAL,
               "{} must be accessed in units of {} but the LUN has blocks of {}: create the "
               "backstore with hw_block_size={}, or add ;cache=buffered",
               config.path, traits.offset_alignment, logical_block.value(),
               traits.offset_alignment);
}

// Reads the label, and checks whether the store may be opened with it.
Result<std::optional<Label>> labelled(const LabelledFile& file, bool has_log) {
  Result<std::optional<Label>> label = read_label(file);
  if (label) {
    if (const Result<void> may = check_label(file.path, label.value(), has_log); !may) {
      return may.error();
    }
  }
  return label;
}

// Takes the label over, and puts that of a device where it belongs. But a device which two gateways
// share may belong to the other one.
Result<void> settle(const FileConfig& config, Bytes size, const Expected& expected,
                    OpenFile* file) {
  const LabelledFile labelled_file{
      .fd = file->fd.get(),
      .block_device = file->block_device,
      .path = config.path,
      .lun = {.now = size,
              .reach = expected.record.has_value() ? expected.record->reach : Bytes{}}};
  Result<std::optional<Label>> label = labelled(labelled_file, expected.has_log);
  if (!label) {
    return label.error();
  }
  file->label = std::move(label).value();
  const bool settles = file->block_device && file->label.has_value() && config.lock != FileLock::pr;
  return settles ? settle_label(labelled_file, *file->label) : Result<void>{};
}

}  // namespace

// Where a block device has its label follows from the size of the LUN. If that is not known, only
// open_file() can look.
Result<void> check_file(const FileConfig& config, const Expected& expected) {
  const Result<std::optional<Taken>> checked = check_store(config, expected);
  if (!checked) {
    return checked.error();
  }
  const std::optional<Taken>& there = checked.value();
  if (!there.has_value() || (there->block_device && !expected.record.has_value())) {
    return {};
  }
  const Result<std::optional<Label>> label =
      labelled({.fd = there->fd.get(),
                .block_device = there->block_device,
                .path = config.path,
                .lun = there->block_device
                           ? LunSizes{.now = expected.record->size, .reach = expected.record->reach}
                           : LunSizes{}},
               expected.has_log);
  return label ? Result<void>{} : label.error();
}

Result<OpenFile> open_file(const FileConfig& config, Bytes size, Bytes logical_block,
                           const Expected& expected) {
  Result<Taken> taken = take_store(config, size, expected);
  if (!taken) {
    return taken.error();
  }
  OpenFile file;
  file.claim = std::move(taken.value().claim);
  file.fd = std::move(taken.value().fd);
  file.identity = std::move(taken.value().identity);
  file.block_device = taken.value().block_device;
  file.direct = config.cache == CacheMode::direct;
  const Result<Bytes> has = size_of(file.fd.get(), file.block_device);
  if (!has) {
    return error(has.error().errno_value, "{}: {}", config.path, has.error().message);
  }
  if (const Result<void> enough = check_size(config, file.block_device, has.value(), size);
      !enough) {
    return enough.error();
  }
  if (!expected.record.has_value()) {
    warn_of_image(config, file.fd.get());
  }
  file.reach = expected.record.has_value() ? std::max(expected.record->reach, size) : size;
  if (Result<void> labelled = settle(config, size, expected, &file); !labelled) {
    return labelled.error();
  }
  const Result<FileTraits> found =
      probe(file.fd.get(), file.block_device, file.direct, has.value(), file.identity.file_system);
  if (!found) {
    return error(found.error().errno_value, "{}: {}", config.path, found.error().message);
  }
  const FileTraits& traits = found.value();
  if (file.direct && !traits.direct) {
    log(LogLevel::warning,
        "{} is on a file system that accepts O_DIRECT but still uses the page cache (such as ext4 "
        "with data=journal): Ballast uses it as with cache=buffered",
        config.path);
    file.direct = false;
    (void)::fcntl(file.fd.get(), F_SETFL, ::fcntl(file.fd.get(), F_GETFL) & ~O_DIRECT);
  }
  if (const Result<void> block = check_block(config, traits, logical_block); !block) {
    return block.error();
  }
  file.memory_alignment = traits.memory_alignment;
  file.offset_alignment = traits.offset_alignment;
  file.in_memory = traits.in_memory;
  file.device = traits.device;
  file.queue_tags = traits.queue_tags;
  // In whole blocks: an initiator counts in these.
  const std::uint64_t granularity = round_up(traits.discard_granularity, logical_block.value());
  file.geometry = Geometry{.size = size,
                           .logical_block = logical_block,
                           .physical_block = std::max(Bytes{traits.physical_block}, logical_block),
                           .discard_granularity = Bytes{granularity},
                           .rotational = traits.rotational};
  file.capabilities = Capabilities{.read_only = false,
                                   .discard = traits.discard_granularity > 0,
                                   .discard_zeroes = traits.discard_zeroes,
                                   .zero = traits.zero,
                                   .zero_unmaps = traits.zero_unmaps,
                                   .fua = true,
                                   .volatile_cache = true,
                                   .block_status = !file.block_device,
                                   .exclusive = taken.value().exclusive,
                                   .room = !file.block_device};
  return file;
}

}  // namespace ballast::backend
