// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/file_open.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string>
#include <utility>

#include "lib/backend/file_probe.h"
#include "lib/base/log.h"

namespace ballast::backend {
namespace {

using config::CacheMode;
using config::format_bytes;
using config::LunConfig;

template <class... Args>
Error error(int errno_value, fmt::format_string<Args...> format, Args&&... args) {
  return Error{errno_value, fmt::format(format, std::forward<Args>(args)...)};
}

std::string parent_of(const std::string& path) {
  const std::size_t slash = path.find_last_of('/');
  return slash == 0 ? "/" : path.substr(0, slash);
}

// --- what stands at the path
// ----------------------------------------------------------------------

enum class Kind { missing, regular, block };

Result<void> check_parent(const std::string& path) {
  const std::string parent = parent_of(path);
  struct stat status {};
  if (::stat(parent.c_str(), &status) != 0) {
    const int why = errno;
    if (why == ENOENT) {
      return error(ENOENT, "{} cannot be created: there is no directory {}: create it first", path,
                   parent);
    }
    return error(why, "{} cannot be reached: {}: {}", path, parent, std::strerror(why));
  }
  if (!S_ISDIR(status.st_mode)) {
    return error(ENOTDIR, "{} cannot be created: {} is not a directory", path, parent);
  }
  if (::faccessat(AT_FDCWD, parent.c_str(), W_OK | X_OK, AT_EACCESS) != 0) {
    const int why = errno;
    return error(why, "{} cannot be created: no permission to write to directory {}: {}", path,
                 parent, std::strerror(why));
  }
  return {};
}

Result<Kind> look_at(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    const int why = errno;
    if (why == ENOENT && ::lstat(path.c_str(), &status) == 0) {
      return error(ENOENT,
                   "{} is a symbolic link that leads nowhere: create what it points to, or "
                   "remove it",
                   path);
    }
    if (why == ENOENT) {
      if (const Result<void> parent = check_parent(path); !parent) {
        return parent.error();
      }
      if (path.back() == '/') {
        return error(EISDIR, "{} ends with '/': write the path of a file", path);
      }
      return Kind::missing;
    }
    return error(why, "{} cannot be reached: {}", path, std::strerror(why));
  }
  const char* what = nullptr;
  switch (status.st_mode & S_IFMT) {
    case S_IFREG:
      return Kind::regular;
    case S_IFBLK:
      return Kind::block;
    case S_IFDIR:
      return error(EISDIR, "{} is a directory: write the path of a file in it, as in {}{}vol0.raw",
                   path, path, path.back() == '/' ? "" : "/");
    case S_IFCHR:
      what = "a character device";
      break;
    case S_IFIFO:
      what = "a named pipe";
      break;
    case S_IFSOCK:
      what = "a socket";
      break;
    default:
      what = "of an unknown kind";
  }
  return error(EINVAL, "{} is {}: a volume is a regular file or a block device", path, what);
}

// --- opening and taking
// ---------------------------------------------------------------------------

int open_flags(const LunConfig& config) {
  return O_RDWR | O_CLOEXEC | O_NOCTTY | (config.cache == CacheMode::direct ? O_DIRECT : 0);
}

Error no_direct(const std::string& path) {
  return error(EINVAL, "{} is on a file system without O_DIRECT: add ;cache=buffered", path);
}

Error cannot_open(const std::string& path, int why, bool direct) {
  switch (why) {
    case EINVAL:
      if (direct) {
        return no_direct(path);
      }
      break;
    case EACCES:
    case EPERM:
      return error(why, "no permission to read and write {}: {}: change its owner or mode", path,
                   std::strerror(why));
    case EROFS:
      return error(why, "{} cannot be written: its file system or device is read-only", path);
    case EBUSY:
      return error(EBUSY,
                   "{} is in use: it is mounted, part of a volume group or RAID, or another "
                   "LUN has it",
                   path);
    case ETXTBSY:
      return error(why, "{} is a program that is running", path);
    case ENXIO:
    case ENODEV:
    case ENOMEDIUM:
      return error(why, "{} has no device behind it: {}", path, std::strerror(why));
    default:
      break;
  }
  return error(why, "{} cannot be opened: {}", path, std::strerror(why));
}

// Whether the file is ours now; an error if it is somebody else's.
Result<bool> lock(int fd, const std::string& path) {
  struct flock whole {};
  whole.l_type = F_WRLCK;
  whole.l_whence = SEEK_SET;
  if (::fcntl(fd, F_OFD_SETLK, &whole) == 0) {
    return true;
  }
  const int why = errno;
  if (why != EAGAIN && why != EACCES) {
    log(LogLevel::warning,
        "{} cannot be locked ({}): nothing keeps another host or program from writing to it", path,
        std::strerror(why));
    return false;
  }
  struct flock owner = whole;
  std::string who = "another LUN or program";
  // An open-file-description lock has no process to name (pid -1).
  if (::fcntl(fd, F_OFD_GETLK, &owner) == 0 && owner.l_type != F_UNLCK && owner.l_pid > 0) {
    who = fmt::format("process {}", owner.l_pid);
  }
  return error(EBUSY, "{} is locked by {}: one volume has one user; see fuser -v {}", path, who,
               path);
}

struct Taken {
  UniqueFd fd;
  bool block_device = false;
  bool exclusive = false;
};

Result<Taken> take_existing(const LunConfig& config, Kind kind) {
  Taken taken;
  taken.block_device = kind == Kind::block;
  const int flags = open_flags(config) | (taken.block_device ? O_EXCL : 0);
  taken.fd = UniqueFd{::open(config.path.c_str(), flags)};
  if (!taken.fd) {
    return cannot_open(config.path, errno, config.cache == CacheMode::direct);
  }
  if (taken.block_device) {
    taken.exclusive = true;
    return taken;
  }
  const Result<bool> locked = lock(taken.fd.get(), config.path);
  if (!locked) {
    return locked.error();
  }
  taken.exclusive = locked.value();
  return taken;
}

// fsync of the directory makes the new name durable, fsync of the file its size.
Result<void> make_durable(int fd, const std::string& path) {
  const UniqueFd parent{::open(parent_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (::fsync(fd) != 0 || !parent || ::fsync(parent.get()) != 0) {
    const int why = errno;
    return error(why, "{} was created but could not be made durable: {}", path, std::strerror(why));
  }
  return {};
}

Result<void> give_size(int fd, const std::string& path, Bytes size) {
  if (::ftruncate(fd, static_cast<off_t>(size.value())) != 0) {
    const int why = errno;
    if (why == EFBIG || why == EINVAL) {
      return error(EFBIG,
                   "{} cannot have {}: that is more than its file system allows for one file", path,
                   format_bytes(size));
    }
    return error(why, "{} cannot be given {}: {}", path, format_bytes(size), std::strerror(why));
  }
  return {};
}

// nullopt: somebody else created it meanwhile.
Result<std::optional<Taken>> create(const LunConfig& config, Bytes size) {
  Taken taken;
  const std::string& path = config.path;
  taken.fd = UniqueFd{::open(path.c_str(), open_flags(config) | O_CREAT | O_EXCL, 0600)};
  if (!taken.fd) {
    const int why = errno;
    if (why == EEXIST) {
      return std::optional<Taken>{};
    }
    // Linux creates the file before it finds that it cannot have O_DIRECT.
    if (why == EINVAL) {
      ::unlink(path.c_str());
    }
    return cannot_open(path, why, config.cache == CacheMode::direct);
  }
  const Result<bool> locked = lock(taken.fd.get(), path);
  if (!locked) {
    return locked.error();
  }
  taken.exclusive = locked.value();
  Result<void> done = give_size(taken.fd.get(), path, size);
  if (done) {
    done = make_durable(taken.fd.get(), path);
  }
  if (!done) {
    ::unlink(path.c_str());
    return done.error();
  }
  log(LogLevel::info, "created {}, sparse, {}", path, format_bytes(size));
  return std::optional<Taken>{std::move(taken)};
}

Result<Taken> take(const LunConfig& config, Bytes size) {
  Result<Kind> kind = look_at(config.path);
  if (kind && kind.value() == Kind::missing) {
    Result<std::optional<Taken>> created = create(config, size);
    if (!created) {
      return created.error();
    }
    if (created.value().has_value()) {
      return std::move(*created.value());
    }
    kind = look_at(config.path);
  }
  if (!kind) {
    return kind.error();
  }
  if (kind.value() == Kind::missing) {
    return error(EAGAIN, "{} comes and goes while it is being opened: try again", config.path);
  }
  return take_existing(config, kind.value());
}

Result<void> check_size(const LunConfig& config, bool block_device, Bytes has, Bytes wants) {
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
                 "backing file {} is empty but the LUN was created with size={}: remove the "
                 "file and it will be created, or run truncate -s {} {}",
                 config.path, format_bytes(wants), wants.value(), config.path);
  }
  return error(EFBIG,
               "backing file {} has {} but the LUN was created with size={}: create the LUN "
               "with size={} or less, or grow the file with truncate -s {} {}",
               config.path, format_bytes(has), format_bytes(wants), has.value(), wants.value(),
               config.path);
}

// What the probe found, against what the LUN wants.
Result<void> check_block(const LunConfig& config, const FileTraits& traits, Bytes logical_block) {
  if (traits.offset_alignment <= logical_block.value()) {
    return {};
  }
  return error(EINVAL,
               "{} must be accessed in units of {} but the LUN has blocks of {}: create the "
               "backstore with hw_block_size={}, or add ;cache=buffered",
               config.path, traits.offset_alignment, logical_block.value(),
               traits.offset_alignment);
}

}  // namespace

Result<void> check_file(const LunConfig& config) {
  const Result<Kind> kind = look_at(config.path);
  if (!kind) {
    return kind.error();
  }
  if (kind.value() != Kind::missing) {
    const Result<Taken> taken = take_existing(config, kind.value());
    return taken ? Result<void>{} : Result<void>{taken.error()};
  }
  // An unnamed file tells what creating one would, and goes when it is closed.
  const UniqueFd unnamed{
      ::open(parent_of(config.path).c_str(), open_flags(config) | O_TMPFILE, 0600)};
  const int why = errno;
  const bool no_unnamed_files = why == EOPNOTSUPP || why == EISDIR || why == ENOENT;
  if (!unnamed && !no_unnamed_files) {
    return cannot_open(config.path, why, config.cache == CacheMode::direct);
  }
  return {};
}

Result<OpenFile> open_file(const LunConfig& config, Bytes size, Bytes logical_block) {
  Result<Taken> taken = take(config, size);
  if (!taken) {
    return taken.error();
  }
  OpenFile file;
  file.fd = std::move(taken.value().fd);
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
  const FileTraits traits = probe(file.fd.get(), file.block_device, file.direct, has.value());
  if (const Result<void> block = check_block(config, traits, logical_block); !block) {
    return block.error();
  }
  file.memory_alignment = traits.memory_alignment;
  file.offset_alignment = traits.offset_alignment;
  file.in_memory = traits.in_memory;
  file.device = traits.device;
  file.queue_tags = traits.queue_tags;
  file.geometry = Geometry{.size = size,
                           .logical_block = logical_block,
                           .physical_block = std::max(Bytes{traits.physical_block}, logical_block),
                           .discard_granularity = Bytes{},
                           .rotational = traits.rotational};
  if (traits.discard_granularity > 0) {
    file.geometry.discard_granularity = std::max(Bytes{traits.discard_granularity}, logical_block);
  }
  file.capabilities = Capabilities{.read_only = false,
                                   .discard = traits.discard_granularity > 0,
                                   .discard_zeroes = traits.discard_zeroes,
                                   .zero = traits.zero,
                                   .zero_unmaps = traits.zero_unmaps,
                                   .fua = true,
                                   .volatile_cache = true,
                                   .block_status = !file.block_device,
                                   .exclusive = taken.value().exclusive};
  return file;
}

}  // namespace ballast::backend
