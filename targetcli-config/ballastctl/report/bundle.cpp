// SPDX-License-Identifier: Apache-2.0
#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <memory>
#include <utility>

#include "targetcli-config/ballastctl/report/report.h"

namespace ballast::ctl::report {
namespace {

::archive* of(void* archive) {
  return static_cast<::archive*>(archive);
}

}  // namespace

Bundle::Bundle(std::string path, std::string folder, int fd, void* archive)
    : path_{std::move(path)}, folder_{std::move(folder)}, fd_{fd}, archive_{archive} {}

Bundle::Bundle(Bundle&& other) noexcept
    : path_{std::exchange(other.path_, {})},
      folder_{std::move(other.folder_)},
      fd_{std::exchange(other.fd_, -1)},
      archive_{std::exchange(other.archive_, nullptr)} {}

Bundle::~Bundle() {
  if (archive_ != nullptr) {
    (void)archive_write_free(of(archive_));
  }
  if (fd_ >= 0) {
    ::close(fd_);
  }
  if (!path_.empty()) {
    ::unlink(path_.c_str());
  }
}

Result<Bundle> Bundle::create(const std::string& path, std::string folder) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) {
    const int reason = errno;
    return Error{reason,
                 reason == EEXIST
                     ? fmt::format("{} is there already: choose another name with --output", path)
                     : fmt::format("{} cannot be made: {}", path, std::strerror(reason))};
  }
  Bundle bundle{path, std::move(folder), fd, archive_write_new()};
  ::archive* const archive = of(bundle.archive_);
  if (archive == nullptr) {
    return Error{ENOMEM, "out of memory"};
  }
  if (archive_write_add_filter_gzip(archive) != ARCHIVE_OK ||
      archive_write_set_format_pax_restricted(archive) != ARCHIVE_OK ||
      archive_write_open_fd(archive, fd) != ARCHIVE_OK) {
    return bundle.failure();
  }
  return bundle;
}

Error Bundle::failure() const {
  const char* const why = archive_error_string(of(archive_));
  return {EIO, fmt::format("{} cannot be written: {}", path_, why == nullptr ? "unknown" : why)};
}

Result<void> Bundle::add(const std::string& name, const std::string& content) {
  struct Release {
    void operator()(archive_entry* entry) const { archive_entry_free(entry); }
  };
  const std::unique_ptr<archive_entry, Release> entry{archive_entry_new()};
  archive_entry_set_pathname(entry.get(), (folder_ + "/" + name).c_str());
  archive_entry_set_size(entry.get(), static_cast<la_int64_t>(content.size()));
  archive_entry_set_filetype(entry.get(), AE_IFREG);
  archive_entry_set_perm(entry.get(), 0600);
  archive_entry_set_mtime(entry.get(), std::time(nullptr), 0);
  if (archive_write_header(of(archive_), entry.get()) != ARCHIVE_OK ||
      archive_write_data(of(archive_), content.data(), content.size()) !=
          static_cast<la_ssize_t>(content.size())) {
    return failure();
  }
  return {};
}

Result<void> Bundle::finish() {
  if (archive_write_close(of(archive_)) != ARCHIVE_OK) {
    return failure();
  }
  if (::fsync(fd_) != 0) {
    return Error{errno, fmt::format("{} cannot be written: {}", path_, std::strerror(errno))};
  }
  path_.clear();
  return {};
}

}  // namespace ballast::ctl::report
