//! The attributes of a new process beyond its standard handles.

use std::{io, mem, ptr};

use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::System::Threading::{
    DeleteProcThreadAttributeList, InitializeProcThreadAttributeList, LPPROC_THREAD_ATTRIBUTE_LIST,
    UpdateProcThreadAttribute,
};

use super::sys;

/// Lists of handles, of one kind each.
pub(super) struct Attributes {
    /// Memory for the attribute list, in words so that it is aligned.
    memory: Vec<usize>,
    /// The attribute list only points to these.
    lists: Vec<Vec<HANDLE>>,
}

impl Attributes {
    /// How many there can be: the jobs, and the handles to inherit.
    const MOST: u32 = 2;

    pub(super) fn new() -> io::Result<Self> {
        let mut bytes = 0;
        // SAFETY: without memory, the call only tells the size; it fails by design.
        unsafe { InitializeProcThreadAttributeList(ptr::null_mut(), Self::MOST, 0, &mut bytes) };
        let mut memory = vec![0; bytes.div_ceil(mem::size_of::<usize>())];
        // SAFETY: the memory has the size that was asked for.
        sys::checked(unsafe {
            InitializeProcThreadAttributeList(memory.as_mut_ptr().cast(), Self::MOST, 0, &mut bytes)
        })?;
        Ok(Self { memory, lists: Vec::new() })
    }

    /// Adds handles, which must stay open until the process is created.
    ///
    /// Source: <https://learn.microsoft.com/windows/win32/api/processthreadsapi/nf-processthreadsapi-updateprocthreadattribute>
    pub(super) fn add(&mut self, attribute: u32, handles: Vec<HANDLE>) -> io::Result<()> {
        let list = self.as_ptr();
        // SAFETY: the list is initialised, and `handles` is kept below for as long as it lives.
        let ok = unsafe {
            UpdateProcThreadAttribute(
                list,
                0,
                attribute as usize,
                handles.as_ptr().cast(),
                mem::size_of_val(handles.as_slice()),
                ptr::null_mut(),
                ptr::null(),
            )
        };
        self.lists.push(handles);
        sys::checked(ok)
    }

    pub(super) fn as_ptr(&mut self) -> LPPROC_THREAD_ATTRIBUTE_LIST {
        self.memory.as_mut_ptr().cast()
    }
}

impl Drop for Attributes {
    fn drop(&mut self) {
        let list = self.as_ptr();
        // SAFETY: `new` returned a list only after it was initialised.
        unsafe { DeleteProcThreadAttributeList(list) };
    }
}
