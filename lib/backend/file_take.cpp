// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/file_take.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "lib/backend/file_missing.h"
#include "lib/backend/pr_device.h"
#include "lib/backend/trusted_path.h"
#include "lib/base/log.h"
#include "lib/base/values.h"

namespace ballast::backend {
namespace {

using config::format_bytes;

template <class... Args>
Error error(int errno_value, fmt::format_string<Args...> format, Args&&... args) {
  return Error{errno_value, fmt::format(format, std::forward<Args>(args)...)};
}

std::string parent_of(const std::string& path) {
  const std::size_t slash = path.find_last_of('/');
  return slash == 0 ? "/" : path.substr(0, slash);
}

// --- what is at the path -------------------------------------------------------------------------

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

// --- opening and taking --------------------------------------------------------------------------

int open_flags(const FileConfig& config) {
  return O_RDWR | O_CLOEXEC | O_NOCTTY | (config.cache == CacheMode::direct ? O_DIRECT : 0);
}

// Opens the file so that reads do not change its access time: that change would be a write to the
// journal. A thread that answers commands may submit reads, and must not wait for the journal
// (lane_choice.h). Only the owner of a file may use O_NOATIME.
template <class Open>
UniqueFd open_quietly(int flags, Open open) {
  UniqueFd fd = open(flags | O_NOATIME);
  if (!fd && errno == EPERM) {
    fd = open(flags);
  }
  return fd;
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

// Returns true if the file is locked for us now, and false if it cannot be locked. An error if
// another LUN or program has it.
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
        "{} cannot be locked ({}): nothing keeps another host or program from writing to it, so "
        "writes are held while the storage is slow",
        path, std::strerror(why));
    return false;
  }
  struct flock owner = whole;
  std::string who = "another LUN or program";
  // An open-file-description lock has no process to name (pid -1).
  if (::fcntl(fd, F_OFD_GETLK, &owner) == 0 && owner.l_type != F_UNLCK && owner.l_pid > 0) {
    who = fmt::format("process {}", owner.l_pid);
  }
  return error(EBUSY, "{} is locked by {}: only one LUN or program may use it; see fuser -v {}",
               path, who, path);
}

Result<void> check_reservations(const FileConfig& config, const Taken& taken) {
  if (!taken.block_device) {
    return error(EINVAL,
                 "{} is a regular file, and lock=pr is for a block device that several machines "
                 "see: remove it",
                 config.path);
  }
  return backend::check_reservations(config.path.c_str(), taken.fd.get());
}

// Locks and claims an open store, and checks whether it is the expected one.
Result<Taken> take_open(UniqueFd fd, const FileConfig& config, const Expected& expected) {
  Taken taken;
  taken.fd = std::move(fd);
  struct stat status {};
  if (::fstat(taken.fd.get(), &status) != 0) {
    return error(errno, "{} cannot be examined: {}", config.path, std::strerror(errno));
  }
  taken.block_device = S_ISBLK(status.st_mode);
  if (config.lock == FileLock::pr) {
    if (Result<void> usable = check_reservations(config, taken); !usable) {
      return usable.error();
    }
  }
  taken.exclusive = taken.block_device;
  if (!taken.block_device) {
    const Result<bool> locked = lock(taken.fd.get(), config.path);
    if (!locked) {
      return locked.error();
    }
    taken.exclusive = locked.value();
  }
  std::optional<StoreClaim> claim = StoreClaim::make(status);
  if (!claim.has_value()) {
    return error(EBUSY,
                 "{} is in use by another LUN, or by the last operations of one that was closed",
                 config.path);
  }
  taken.claim = std::move(*claim);
  taken.identity = identify(taken.fd.get());
  if (Result<void> same = check_identity(config.path, taken.fd.get(), taken.identity, expected);
      !same) {
    return same.error();
  }
  return taken;
}

Error comes_and_goes(const std::string& path) {
  return error(EAGAIN, "{} comes and goes while it is being opened: try again", path);
}

Result<Taken> take_existing(const FileConfig& config, const Expected& expected) {
  const Result<PathEnd> end = follow(config.path);
  if (!end) {
    return end.error();
  }
  struct stat status {};
  const bool is_there = end.value().file && ::fstat(end.value().file.get(), &status) == 0;
  if (!is_there || !(S_ISBLK(status.st_mode) || S_ISREG(status.st_mode))) {
    return comes_and_goes(config.path);
  }
  const int flags = open_flags(config) | (S_ISBLK(status.st_mode) ? O_EXCL : 0);
  UniqueFd fd = open_quietly(flags, [&](int all) { return open_end(end.value(), all); });
  if (!fd) {
    return cannot_open(config.path, errno, config.cache == CacheMode::direct);
  }
  return take_open(std::move(fd), config, expected);
}

// The fsync of the directory makes the new name durable, the fsync of the file makes its size
// durable.
Result<void> make_durable(int fd, const PathEnd& end, const std::string& path) {
  const UniqueFd parent{::openat(end.folder.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
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
                   "{} cannot have a size of {}: its file system does not allow so large a file",
                   path, format_bytes(size));
    }
    return error(why, "{} cannot be given a size of {}: {}", path, format_bytes(size),
                 std::strerror(why));
  }
  return {};
}

// Removes a file that was created, unless finish() is called. Otherwise an attempt that failed
// halfway would leave an empty file for the next attempt.
class Unfinished {
 public:
  explicit Unfinished(const PathEnd& end) : end_{end} {}
  ~Unfinished() {
    if (!finished_) {
      ::unlinkat(end_.folder.get(), end_.name.c_str(), 0);
    }
  }
  Unfinished(const Unfinished&) = delete;
  Unfinished& operator=(const Unfinished&) = delete;
  void finish() { finished_ = true; }

 private:
  const PathEnd& end_;
  bool finished_ = false;
};

// Returns nullopt if another program created the file meanwhile.
Result<std::optional<Taken>> create(const FileConfig& config, Bytes size) {
  const std::string& path = config.path;
  const Result<PathEnd> found = follow(path);
  if (!found) {
    return found.error();
  }
  const PathEnd& end = found.value();
  const auto make = [&end](int flags) {
    return UniqueFd{::openat(end.folder.get(), end.name.c_str(), flags, 0600)};
  };
  UniqueFd fd = open_quietly(open_flags(config) | O_CREAT | O_EXCL, make);
  if (!fd) {
    const int why = errno;
    if (why == EEXIST) {
      return std::optional<Taken>{};
    }
    // Linux creates the file before it finds that the file system has no O_DIRECT.
    if (why == EINVAL) {
      ::unlinkat(end.folder.get(), end.name.c_str(), 0);
    }
    return cannot_open(path, why, config.cache == CacheMode::direct);
  }
  Unfinished created{end};
  Result<Taken> taken = take_open(std::move(fd), config, Expected{});
  if (!taken) {
    return taken.error();
  }
  Result<void> done = give_size(taken.value().fd.get(), path, size);
  if (done) {
    done = make_durable(taken.value().fd.get(), end, path);
  }
  if (!done) {
    return done.error();
  }
  created.finish();
  log(LogLevel::info, "created {}, sparse, {}", path, format_bytes(size));
  return std::optional<Taken>{std::move(taken).value()};
}

// Looks at the path. If the file is missing and must not be created, the error says why.
Result<Kind> look_for(const FileConfig& config, Bytes size, const Expected& expected) {
  Result<Kind> kind = look_at(config.path);
  const bool missing = kind ? kind.value() == Kind::missing : kind.error().errno_value == ENOENT;
  if (missing) {
    if (Result<void> may = check_missing(config.path, size, expected); !may) {
      return may.error();
    }
    if (config.lock == FileLock::pr && kind) {
      return error(ENOENT, "{} is not there, and lock=pr is for a block device: see lsblk",
                   config.path);
    }
  }
  return kind;
}

}  // namespace

Result<Taken> take_store(const FileConfig& config, Bytes size, const Expected& expected) {
  if (const Result<void> keys = check_keys(config); !keys) {
    return keys.error();
  }
  Result<Kind> kind = look_for(config, size, expected);
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
    return comes_and_goes(config.path);
  }
  return take_existing(config, expected);
}

Result<std::optional<Taken>> check_store(const FileConfig& config, const Expected& expected) {
  if (Result<void> keys = check_keys(config); !keys) {
    return keys.error();
  }
  const Result<Kind> kind = look_for(config, Bytes{}, expected);
  if (!kind) {
    return kind.error();
  }
  if (kind.value() != Kind::missing) {
    Result<Taken> taken = take_existing(config, expected);
    if (!taken) {
      return taken.error();
    }
    return std::optional<Taken>{std::move(taken).value()};
  }
  const Result<PathEnd> end = follow(config.path);
  if (!end) {
    return end.error();
  }
  // Opening an unnamed file fails for the reasons for which creating a named one would. It is gone
  // when it is closed.
  const UniqueFd unnamed{
      ::openat(end.value().folder.get(), ".", open_flags(config) | O_TMPFILE, 0600)};
  const int why = errno;
  const bool no_unnamed_files = why == EOPNOTSUPP || why == EISDIR || why == ENOENT;
  if (!unnamed && !no_unnamed_files) {
    return cannot_open(config.path, why, config.cache == CacheMode::direct);
  }
  return std::optional<Taken>{};
}

}  // namespace ballast::backend
